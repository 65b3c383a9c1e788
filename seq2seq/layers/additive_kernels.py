"""Additive scores and their gradients in two Triton kernels that never store [B T S A]: each tile of tanh(q + k) is
computed where it is summed, and again in the backward pass.

Every sum has a fixed order: no atomic additions, and tiles are chosen by shape, without autotuning (which could sum in
another order in another session). So gradients repeat bitwise, and a resumed run can equal an uninterrupted one.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# Source positions and hidden units of a tile: 16 numbers for each thread of four warps.
SCORE_ROWS, SCORE_COLUMNS = 16, 128
GRADIENT_ROWS, GRADIENT_COLUMNS = 32, 64


def fused_additive_score(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """query [B T A], keys [B S A], v [1 A] -> scores [B T S] in the type that the plain operations would return.

    All three on one GPU, in fp16, bf16, fp32 or float64; sums are in fp32 at least.
    """
    scores: Tensor = _AdditiveScore.apply(query, keys, v, _type_of_scores(query, keys))
    return scores


def try_kernels(device: torch.device) -> None:
    """Compile and run both kernels on small inputs. Raises whatever prevents it."""
    with torch.inference_mode(False), torch.enable_grad():  # the first caller may be a search
        shapes = (1, 1, 8), (1, 2, 8), (1, 8)
        query, keys, v = (torch.ones(shape, device=device, requires_grad=True) for shape in shapes)
        fused_additive_score(query, keys, v).sum().backward()


def _type_of_scores(query: Tensor, keys: Tensor) -> torch.dtype:
    """Autocast has the product with `v` in its own type, unless it is float64."""
    exact = torch.promote_types(query.dtype, keys.dtype)
    if exact is not torch.float64 and torch.is_autocast_enabled("cuda"):
        return torch.get_autocast_dtype("cuda")
    return exact


class _AdditiveScore(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor, dtype: torch.dtype) -> Tensor:
        query, keys, v = query.contiguous(), keys.contiguous(), v.contiguous()
        ctx.save_for_backward(query, keys, v)
        (sentences, targets, width), sources = query.shape, keys.shape[1]
        scores = query.new_empty((sentences, targets, sources), dtype=dtype)
        rows, columns = SCORE_ROWS, _at_most(width, SCORE_COLUMNS)
        grid = (sentences, triton.cdiv(sources, rows), targets)
        sizes = (targets, sources, width, _type_of_sums(dtype), rows, columns)
        with torch.cuda.device_of(query):
            _score_kernel[grid](query, keys, v, scores, *sizes)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """For the query and for v each tile of source positions writes a partial sum; torch adds them up."""
        query, keys, v = ctx.saved_tensors
        (sentences, targets, width), sources = query.shape, keys.shape[1]
        rows, columns = max(16, _at_most(sources, GRADIENT_ROWS)), _at_most(width, GRADIENT_COLUMNS)
        tiles = triton.cdiv(sources, rows)
        sum_type = torch.promote_types(gradient.dtype, torch.float32)
        of_query = query.new_empty((sentences, tiles, targets, width), dtype=sum_type)
        of_v = query.new_empty((sentences * tiles, width), dtype=sum_type)
        of_keys = torch.empty_like(keys)
        grid = (sentences, tiles, triton.cdiv(width, columns))
        sizes = (targets, sources, width, _type_of_sums(sum_type), rows, columns)
        with torch.cuda.device_of(query):
            _gradient_kernel[grid](query, keys, v, gradient.contiguous(), of_query, of_keys, of_v, *sizes)
        return of_query.sum(1).to(query.dtype), of_keys, of_v.sum(0, keepdim=True).to(v.dtype), None


def _at_most(size: int, most: int) -> int:
    """A tile's edge, a power of two, for so many elements."""
    return min(triton.next_power_of_2(size), most)


def _type_of_sums(dtype: torch.dtype) -> Any:
    return tl.float64 if dtype is torch.float64 else tl.float32


# T and S differ from batch to batch: they must not be compiled in, as Triton does with 1 and multiples of 16. A is the
# model's. `no_type_check` keeps kernels as they are written: Triton reads their source.


@triton.jit(do_not_specialize=["T", "S"])
@no_type_check
def _score_kernel(
    query, keys, v, scores, T, S, A: tl.constexpr, EXACT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """One target position and ROWS source positions of a sentence, COLUMNS hidden units at a time."""
    b, t = tl.program_id(0).to(tl.int64), tl.program_id(2)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros((ROWS, COLUMNS), EXACT)
    for first in range(0, A, COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        inside = (row < S)[:, None] & (column < A)[None, :]
        k = tl.load(keys + (b * S + row)[:, None] * A + column[None, :], inside, 0.0).to(EXACT)
        q = tl.load(query + (b * T + t) * A + column, column < A, 0.0).to(EXACT)
        weight = tl.load(v + column, column < A, 0.0).to(EXACT)
        total += weight[None, :] * _tanh(q[None, :] + k)
    score = tl.sum(total, 1)
    tl.store(scores + (b * T + t) * S + row, score.to(scores.dtype.element_ty), row < S)


@triton.jit(do_not_specialize=["T", "S"])
@no_type_check
def _gradient_kernel(
    query,
    keys,
    v,
    gradient,
    of_query,
    of_keys,
    of_v,
    T,
    S,
    A: tl.constexpr,
    EXACT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """ROWS source positions of a sentence and COLUMNS hidden units, one target position after the other.

    With h = tanh(q_t + k_s) and g_ts the score's gradient: g v (1 - h^2) goes to q, summed over these s, and to k,
    summed over all t; g h goes to v, summed over both.
    """
    b, tile, tiles = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    row = tile * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    place = (b * S + row)[:, None] * A + column[None, :]
    inside = (row < S)[:, None] & (column < A)[None, :]
    k = tl.load(keys + place, inside, 0.0).to(EXACT)
    weight = tl.load(v + column, column < A, 0.0).to(EXACT)
    key_total = tl.zeros((ROWS, COLUMNS), EXACT)
    v_total = tl.zeros((ROWS, COLUMNS), EXACT)
    for t in range(T):
        q = tl.load(query + (b * T + t) * A + column, column < A, 0.0).to(EXACT)
        g = tl.load(gradient + (b * T + t) * S + row, row < S, 0.0).to(EXACT)[:, None]
        h = _tanh(q[None, :] + k)
        slope = g * (1 - h * h)
        key_total += slope
        v_total += g * h
        tl.store(of_query + ((b * tiles + tile) * T + t) * A + column, weight * tl.sum(slope, 0), column < A)
    tl.store(of_keys + place, (weight[None, :] * key_total).to(of_keys.dtype.element_ty), inside)
    tl.store(of_v + (b * tiles + tile) * A + column, tl.sum(v_total, 0), column < A)


@triton.jit
@no_type_check
def _tanh(x):
    """(1 - e) / (1 + e) with e = exp(-2 |x|), which cannot overflow; near 0, where 1 - e would lose precision, the
    series up to x^9, whose first term left out is 0.009 x^11. Triton's language has no tanh."""
    series_ends = 0.04 if x.dtype == tl.float64 else 0.25
    size = tl.abs(x)
    e = tl.exp(-2.0 * size)
    far = (1.0 - e) / (1.0 + e)
    square = x * x
    near = x * (1.0 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835)))))
    return tl.where(size < series_ends, near, tl.where(x < 0, -far, far))
