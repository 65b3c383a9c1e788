"""Scaled dot-product attention over sentences, in two Triton kernels: all of a head's scores are one tile on the chip.

Kernels for long texts process keys tile by tile, and a sentence fills only a part of a tile. Here the tile is no larger
than the sentence needs. No sum depends on what else runs, so gradients repeat bitwise.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST, WIDEST = 64, 128  # positions of a side, and numbers of a head: 64 KiB of a multiprocessor hold four such tiles


def fused_attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """query [B H T d], keys and values [B H S d], mask [#B #H #T S] -> the context [B H T d], scaled by 1 / sqrt(d).

    All on one GPU, in fp16 or bf16, of sizes that `suits` accepts; sums are in fp32.
    """
    context: Tensor = _Attention.apply(query, keys, values, mask)
    return context


def suits(query: Tensor, keys: Tensor) -> bool:
    """Whether the kernels support these."""
    targets, sources, width = query.shape[-2], keys.shape[-2], query.shape[-1]
    small = max(targets, sources) <= LONGEST and 16 <= width <= WIDEST and width & (width - 1) == 0
    alike = query.shape[1] == keys.shape[1] and query.dtype == keys.dtype
    return small and alike and query.dtype in (torch.bfloat16, torch.float16)


def try_kernels(device: torch.device) -> None:
    """Compile and run both kernels on small inputs. Raises whatever prevents it."""
    with torch.inference_mode(False), torch.enable_grad():  # the first caller may be a search
        numbers = torch.ones(1, 1, LONGEST, WIDEST, device=device, dtype=torch.bfloat16, requires_grad=True)
        fused_attention(numbers, numbers, numbers, None).sum().backward()


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        query, keys, values = (_with_close_numbers(part) for part in (query, keys, values))
        ctx.save_for_backward(query, keys, values, mask)
        context = _head_by_head(query)
        _launch(_attention_kernel, query, keys, mask, query, keys, values, context)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, keys, values, mask = ctx.saved_tensors
        of_query, of_keys, of_values = (_head_by_head(part) for part in (query, keys, values))
        tensors = (query, keys, values, _with_close_numbers(gradient), of_query, of_keys, of_values)
        _launch(_gradient_kernel, query, keys, mask, *tensors)
        return of_query, of_keys, of_values, None


def _with_close_numbers(part: Tensor) -> Tensor:
    """With a contiguous last dimension, whatever the order of the others."""
    return part if part.stride(-1) == 1 else part.contiguous()


def _head_by_head(like: Tensor) -> Tensor:
    """An empty [B H T d] in the memory order of [B T H d], so that heads are joined without a copy."""
    sentences, heads, length, width = like.shape
    return like.new_empty(sentences, length, heads, width).transpose(1, 2)


def _launch(kernel: Any, query: Tensor, keys: Tensor, mask: Tensor | None, *tensors: Tensor) -> None:
    """One program per head and sentence."""
    (sentences, heads, targets, width), sources = query.shape, keys.shape[2]
    strides = [stride for tensor in tensors for stride in tensor.stride()[:3]]
    if mask is None:
        seen, seen_strides = query, [0, 0, 0, 0]
    else:
        seen = mask.expand(sentences, heads, targets, sources)
        seen_strides = list(seen.stride())
    tiles = (max(16, triton.next_power_of_2(targets)), max(16, triton.next_power_of_2(sources)))
    scale = width**-0.5
    with torch.cuda.device_of(query):
        kernel[(sentences * heads,)](
            *tensors, seen, *strides, *seen_strides, heads, targets, sources, scale, mask is not None, width, *tiles
        )


# Sizes and strides differ from batch to batch: they must not be compiled in, as Triton does with 1 and multiples of 16.
# `no_type_check` keeps kernels as they are written: Triton reads their source.
SIZES = ["mask_b", "mask_h", "mask_t", "mask_s", "H", "T", "S"]


@triton.jit
@no_type_check
def _weights(q, k, mask, mask_b, mask_h, mask_t, mask_s, b, h, t, s, T, S, scale, MASKED: tl.constexpr):
    """softmax(q k' scale) over the unmasked positions, in fp32: [t s]."""
    scores = tl.dot(q, tl.trans(k)) * scale
    seen = (s < S)[None, :] & (t >= 0)[:, None]
    if MASKED:
        place = mask + b * mask_b + h * mask_h + t[:, None] * mask_t + s[None, :] * mask_s
        # Rows beyond the last one are unmasked, so that there is no division by 0.
        seen = seen & (tl.load(place, (t < T)[:, None] & (s < S)[None, :], 1) != 0)
    scores = tl.where(seen, scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    return weights / tl.sum(weights, 1)[:, None]


@triton.jit(do_not_specialize=SIZES)
@no_type_check
def _attention_kernel(
    query, keys, values, context, mask,
    q_b, q_h, q_t, k_b, k_h, k_s, v_b, v_h, v_s, c_b, c_h, c_t, mask_b, mask_h, mask_t, mask_s,
    H, T, S, scale, MASKED: tl.constexpr, D: tl.constexpr, TARGETS: tl.constexpr, SOURCES: tl.constexpr,
):  # fmt: skip
    """One head of one sentence."""
    b, h = tl.program_id(0).to(tl.int64) // H, tl.program_id(0).to(tl.int64) % H
    t, s, d = tl.arange(0, TARGETS), tl.arange(0, SOURCES), tl.arange(0, D)
    inside_t, inside_s = (t < T)[:, None], (s < S)[:, None]
    q = tl.load(query + b * q_b + h * q_h + t[:, None] * q_t + d[None, :], inside_t, 0.0)
    k = tl.load(keys + b * k_b + h * k_h + s[:, None] * k_s + d[None, :], inside_s, 0.0)
    v = tl.load(values + b * v_b + h * v_h + s[:, None] * v_s + d[None, :], inside_s, 0.0)
    weights = _weights(q, k, mask, mask_b, mask_h, mask_t, mask_s, b, h, t, s, T, S, scale, MASKED)
    c = tl.dot(weights.to(v.dtype), v)
    tl.store(context + b * c_b + h * c_h + t[:, None] * c_t + d[None, :], c.to(v.dtype), inside_t)


@triton.jit(do_not_specialize=SIZES)
@no_type_check
def _gradient_kernel(
    query, keys, values, gradient, of_query, of_keys, of_values, mask,
    q_b, q_h, q_t, k_b, k_h, k_s, v_b, v_h, v_s, g_b, g_h, g_t, oq_b, oq_h, oq_t, ok_b, ok_h, ok_s, ov_b, ov_h, ov_s,
    mask_b, mask_h, mask_t, mask_s,
    H, T, S, scale, MASKED: tl.constexpr, D: tl.constexpr, TARGETS: tl.constexpr, SOURCES: tl.constexpr,
):  # fmt: skip
    """One head of one sentence. With weights w and the context's gradient g: w' g goes to the values; of the scores it
    is e = w (g v' - r), r being the row's sum of w (g v'); e k goes to the query and e' q to the keys, both scaled."""
    b, h = tl.program_id(0).to(tl.int64) // H, tl.program_id(0).to(tl.int64) % H
    t, s, d = tl.arange(0, TARGETS), tl.arange(0, SOURCES), tl.arange(0, D)
    inside_t, inside_s = (t < T)[:, None], (s < S)[:, None]
    q = tl.load(query + b * q_b + h * q_h + t[:, None] * q_t + d[None, :], inside_t, 0.0)
    k = tl.load(keys + b * k_b + h * k_h + s[:, None] * k_s + d[None, :], inside_s, 0.0)
    v = tl.load(values + b * v_b + h * v_h + s[:, None] * v_s + d[None, :], inside_s, 0.0)
    g = tl.load(gradient + b * g_b + h * g_h + t[:, None] * g_t + d[None, :], inside_t, 0.0).to(q.dtype)
    weights = _weights(q, k, mask, mask_b, mask_h, mask_t, mask_s, b, h, t, s, T, S, scale, MASKED)
    gv = tl.dot(g, tl.trans(v))
    of_scores = (weights * (gv - tl.sum(weights * gv, 1)[:, None]) * scale).to(q.dtype)
    to_values = tl.dot(tl.trans(weights.to(q.dtype)), g)
    tl.store(of_values + b * ov_b + h * ov_h + s[:, None] * ov_s + d[None, :], to_values.to(q.dtype), inside_s)
    to_query = tl.dot(of_scores, k)
    tl.store(of_query + b * oq_b + h * oq_h + t[:, None] * oq_t + d[None, :], to_query.to(q.dtype), inside_t)
    to_keys = tl.dot(tl.trans(of_scores), q)
    tl.store(of_keys + b * ok_b + h * ok_h + s[:, None] * ok_s + d[None, :], to_keys.to(q.dtype), inside_s)
