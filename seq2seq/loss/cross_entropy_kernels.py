"""Cross-entropy and its gradient in one Triton kernel: each row of logits is read twice, the second time from the
cache, and its gradient written once. Nothing else is as large as the logits.

Every sum has a fixed order, so that losses and gradients repeat bitwise.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

COLUMNS = 4096  # logits of a row at a time: 16 for each thread of eight warps


def fused_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, mask: Tensor | None, *, with_gradient: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """logits [N V], targets [N], mask [N] -> the sums of the smoothed loss and of the negative log-likelihood, and the
    gradient [N V] of the first; all on one GPU. Rows that are False in `mask` are ignored.

    Sums are in fp32, or in float64 for float64 logits.
    """
    logits, targets = logits.contiguous(), targets.contiguous()
    rows, vocabulary = logits.shape
    sum_type = torch.promote_types(logits.dtype, torch.float32)
    loss, nll = (torch.zeros(rows, dtype=sum_type, device=logits.device) for _ in range(2))
    gradient = torch.empty_like(logits) if with_gradient else None
    given = (logits, targets, targets if mask is None else mask.contiguous(), loss, nll)
    written = (logits if gradient is None else gradient, smoothing, vocabulary)
    exact = tl.float64 if sum_type is torch.float64 else tl.float32
    columns = min(triton.next_power_of_2(vocabulary), COLUMNS)
    if rows:
        with torch.cuda.device_of(logits):
            choices = (mask is not None, with_gradient, exact, columns)
            _cross_entropy_kernel[(rows,)](*given, *written, *choices, num_warps=8)
    return loss.sum(), nll.sum(), gradient


def try_kernels(device: torch.device) -> None:
    """Compile and run the kernel on small inputs. Raises whatever prevents it."""
    logits, targets = torch.ones(2, 8, device=device), torch.ones(2, dtype=torch.long, device=device)
    fused_cross_entropy(logits, targets, 0.1, targets.bool(), with_gradient=True)


# `no_type_check` keeps the kernel as it is written: Triton reads its source.
@triton.jit
@no_type_check
def _cross_entropy_kernel(
    logits,
    targets,
    mask,
    loss,
    nll,
    gradient,
    SMOOTHING: tl.constexpr,
    V: tl.constexpr,
    MASKED: tl.constexpr,
    WITH_GRADIENT: tl.constexpr,
    EXACT: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """One row. With m its largest logit and z = sum of exp(x - m): -log p(v) = log z + m - x_v."""
    row = tl.program_id(0).to(tl.int64)
    kept = tl.load(mask + row) != 0 if MASKED else True
    if kept:
        target = tl.load(targets + row)
        largest = tl.full((), float("-inf"), EXACT)
        z = tl.zeros((), EXACT)
        total = tl.zeros((), EXACT)
        for first in range(0, V, COLUMNS):
            column = first + tl.arange(0, COLUMNS)
            x = tl.load(logits + row * V + column, column < V, float("-inf")).to(EXACT)
            higher = tl.maximum(largest, tl.max(x, 0))
            z = z * tl.exp(largest - higher) + tl.sum(tl.exp(x - higher), 0)
            total += tl.sum(tl.where(column < V, x, 0.0), 0)
            largest = higher
        hit = tl.load(logits + row * V + target).to(EXACT)
        normaliser = tl.log(z) + largest
        tl.store(nll + row, normaliser - hit)
        tl.store(loss + row, normaliser - (1 - SMOOTHING) * hit - SMOOTHING * (total / V))
        if WITH_GRADIENT:
            for first in range(0, V, COLUMNS):
                column = first + tl.arange(0, COLUMNS)
                x = tl.load(logits + row * V + column, column < V, float("-inf")).to(EXACT)
                p = tl.exp(x - largest) / z - SMOOTHING / V
                p = tl.where(column == target, p + SMOOTHING - 1, p)
                tl.store(gradient + row * V + column, p.to(gradient.dtype.element_ty), column < V)
    elif WITH_GRADIENT:
        for first in range(0, V, COLUMNS):
            column = first + tl.arange(0, COLUMNS)
            zero = tl.zeros((COLUMNS,), gradient.dtype.element_ty)
            tl.store(gradient + row * V + column, zero, column < V)
