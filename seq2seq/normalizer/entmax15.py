"""1.5-entmax: Peters, Niculae and Martins (2019), arXiv:1905.05702, algorithm 2 (exact, by sorting) and section 3.3."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.normalizer.base import SparseNormalizer


class Entmax15(SparseNormalizer):
    """p = max(z / 2 - tau, 0)^2: between softmax and sparsemax, smooth, with exact zeros.

    Shapes: [... S] -> [... S].
    """

    def project(self, scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
        """The exact solution, by sorting."""
        weights: Tensor = _Entmax15.apply(scores)
        return weights


class _Entmax15(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        # Shifting all scores shifts tau; with the best at 0 it stays precise however large the scores are.
        halves = (scores - scores.amax(-1, keepdim=True)) / 2
        roots = (halves - _threshold(halves)).clamp_(min=0)
        ctx.save_for_backward(roots)
        return roots.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """J g = s g - s (s . g) / (s . 1) with s = sqrt(p)."""
        (roots,) = ctx.saved_tensors
        scaled = roots * gradient
        mean = scaled.sum(-1, keepdim=True) / roots.sum(-1, keepdim=True)
        return scaled - roots * mean


def _threshold(halves: Float[Tensor, "*N S"]) -> Float[Tensor, "*N 1"]:
    """tau such that max(z/2 - tau, 0)^2 sums to 1, where the best z is 0: of the k best, tau_k = mean -
    sqrt((1 - k variance) / k), for the largest k with tau_k <= z_(k) / 2."""
    best = halves.sort(-1, descending=True).values.clamp_(min=-1)  # tau is -1 or more: lower scores do not matter
    count = torch.arange(1, halves.shape[-1] + 1, device=halves.device, dtype=halves.dtype)
    mean = best.cumsum(-1) / count
    deviation = count * (best.square().cumsum(-1) / count - mean.square())
    thresholds = mean - ((1 - deviation) / count).clamp(min=0).sqrt()
    size = (thresholds <= best).sum(-1, keepdim=True)
    return thresholds.gather(-1, size - 1)
