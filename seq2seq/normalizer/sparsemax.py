"""Sparsemax: Martins and Astudillo (2016), arXiv:1602.02068, algorithm 1; its Jacobian is equation 9."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.normalizer.base import SparseNormalizer


class Sparsemax(SparseNormalizer):
    """p = max(z - tau, 0), the point of the simplex nearest to z: low scores get exactly 0.

    Shapes: [... S] -> [... S].
    """

    def project(self, scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
        """Project onto the simplex."""
        weights: Tensor = _Sparsemax.apply(scores)
        return weights


class _Sparsemax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        # Shifting all scores shifts tau; with the best at 0 it stays precise however large the scores are.
        shifted = scores - scores.amax(-1, keepdim=True)
        weights = (shifted - _threshold(shifted)).clamp_(min=0)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient on the support, less its mean there."""
        (weights,) = ctx.saved_tensors
        support = (weights > 0).to(gradient.dtype)
        mean = (gradient * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return support * (gradient - mean)


def _threshold(scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N 1"]:
    """tau such that max(z - tau, 0) sums to 1, where the best score is 0: the k best scores are the support, for the
    largest k with 1 + k z_(k) > z_(1) + ... + z_(k), and tau = (their sum - 1) / k."""
    best = scores.sort(-1, descending=True).values.clamp_(min=-1)  # tau is -1 or more: lower scores do not matter
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    sums = best.cumsum(-1)
    size = (1 + count * best > sums).sum(-1, keepdim=True)
    return (sums.gather(-1, size - 1) - 1) / size
