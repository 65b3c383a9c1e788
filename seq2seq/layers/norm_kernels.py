"""Layer normalisation with its result in the precision of the next product, in two Triton kernels.

What autocast does in three passes (normalise in fp32, store, round a copy) is one pass here, and the gradients of the
states, of the scale and of the shift are another. Every sum has a fixed order: gradients repeat bitwise.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

NUMBERS = 4096  # per program at a time: 32 for each thread of four warps
WIDEST = 4096
PROGRAMS = 528  # of the gradient at most, each with its own partial sum: four for each multiprocessor of an H100


def fused_layer_norm(states: Tensor, scale: Tensor, shift: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """states [... D], scale and shift [D] -> the normalised states [... D] in `dtype`; all on one GPU, D <= WIDEST.

    Means and sums are in fp32.
    """
    normed: Tensor = _LayerNorm.apply(states, scale, shift, eps, dtype)
    return normed


def try_kernels(device: torch.device) -> None:
    """Compile and run both kernels on small inputs. Raises whatever prevents it."""
    with torch.inference_mode(False), torch.enable_grad():  # the first caller may be a search
        states = torch.ones(2, 8, device=device, requires_grad=True)
        scale, shift = (torch.ones(8, device=device, requires_grad=True) for _ in range(2))
        fused_layer_norm(states, scale, shift, 1e-5, torch.bfloat16).sum().backward()


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, scale: Tensor, shift: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        states = states.contiguous()
        rows, width = states.numel() // states.shape[-1], states.shape[-1]
        normed = torch.empty_like(states, dtype=dtype)
        mean, inverse = (states.new_empty(rows, dtype=torch.float32) for _ in range(2))
        columns, tile = _tile(width)
        if rows:
            with torch.cuda.device_of(states):
                _norm_kernel[(triton.cdiv(rows, tile),)](
                    states, scale, shift, normed, mean, inverse, rows, eps, width, columns, tile
                )
        ctx.save_for_backward(states, scale, mean, inverse)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Each program writes partial sums for the scale and the shift; torch adds them up."""
        states, scale, mean, inverse = ctx.saved_tensors
        rows, width = len(mean), states.shape[-1]
        columns, tile = _tile(width)
        programs = max(1, min(PROGRAMS, triton.cdiv(rows, tile)))
        of_states = torch.empty_like(states)
        sums = states.new_zeros((programs, 2, width), dtype=torch.float32)
        given = (states, scale, mean, inverse, gradient.contiguous())
        sizes = (rows, triton.cdiv(triton.cdiv(rows, tile), programs), width, columns, tile)
        if rows:
            with torch.cuda.device_of(states):
                _gradient_kernel[(programs,)](*given, of_states, sums, *sizes)
        of_scale, of_shift = sums.sum(0).to(scale.dtype)
        return of_states, of_scale, of_shift, None, None


def _tile(width: int) -> tuple[int, int]:
    """Columns and rows of a tile, powers of two."""
    columns = triton.next_power_of_2(width)
    return columns, max(1, NUMBERS // columns)


# The number of rows differs from batch to batch: it must not be compiled in, as Triton does with multiples of 16.
# `no_type_check` keeps kernels as they are written: Triton reads their source.


@triton.jit(do_not_specialize=["N"])
@no_type_check
def _norm_kernel(
    states, scale, shift, normed, mean, inverse, N, eps, D: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr
):
    """ROWS rows: (x - mean) / sqrt(variance + eps) * scale + shift."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    place, inside = row[:, None] * D + column[None, :], (row < N)[:, None] & (column < D)[None, :]
    x = tl.load(states + place, inside, 0.0).to(tl.float32)
    m = tl.sum(x, 1) / D
    centred = tl.where(inside, x - m[:, None], 0.0)
    over = 1 / tl.sqrt(tl.sum(centred * centred, 1) / D + eps)
    w = tl.load(scale + column, column < D, 0.0).to(tl.float32)
    b = tl.load(shift + column, column < D, 0.0).to(tl.float32)
    y = centred * over[:, None] * w[None, :] + b[None, :]
    tl.store(normed + place, y.to(normed.dtype.element_ty), inside)
    tl.store(mean + row, m, row < N)
    tl.store(inverse + row, over, row < N)


@triton.jit(do_not_specialize=["N", "turns"])
@no_type_check
def _gradient_kernel(
    states,
    scale,
    mean,
    inverse,
    gradient,
    of_states,
    sums,
    N,
    turns,
    D: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """`turns` tiles of ROWS rows. With z the normalised states and h = gradient * scale: the states' is
    (h - mean of h - z * mean of h z) * inverse; gradient * z goes to the scale and the gradient to the shift."""
    column = tl.arange(0, COLUMNS)
    w = tl.load(scale + column, column < D, 0.0).to(tl.float32)
    of_scale = tl.zeros((COLUMNS,), tl.float32)
    of_shift = tl.zeros((COLUMNS,), tl.float32)
    for turn in range(turns):
        row = (tl.program_id(0).to(tl.int64) * turns + turn) * ROWS + tl.arange(0, ROWS)
        place, inside = row[:, None] * D + column[None, :], (row < N)[:, None] & (column < D)[None, :]
        x = tl.load(states + place, inside, 0.0).to(tl.float32)
        g = tl.load(gradient + place, inside, 0.0).to(tl.float32)
        m = tl.load(mean + row, row < N, 0.0)[:, None]
        over = tl.load(inverse + row, row < N, 0.0)[:, None]
        z = tl.where(inside, (x - m) * over, 0.0)
        h = g * w[None, :]
        pull = (tl.sum(h, 1)[:, None] + z * tl.sum(h * z, 1)[:, None]) / D
        tl.store(of_states + place, ((h - pull) * over).to(of_states.dtype.element_ty), inside)
        of_scale += tl.sum(g * z, 0)
        of_shift += tl.sum(g, 0)
    partial = sums + tl.program_id(0) * 2 * D + column
    tl.store(partial, of_scale, column < D)
    tl.store(partial + D, of_shift, column < D)
