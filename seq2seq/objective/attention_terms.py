"""Losses of attention weights, for any attention that has them: coverage, entropy, and the distance from links."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TINY = 1e-9  # weights below it count as this in logarithms: local windows have zeros


def coverage_loss(weights: Float[Tensor, "B T S"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over real target positions t and all s of min(a_ts, c_ts), c_ts being the sum of earlier weights.

    It penalises attending to the same position again: See et al. (2017), arXiv:1704.04368, equation 12.
    """
    weights = weights.masked_fill(~mask.unsqueeze(-1), 0)
    earlier = weights.cumsum(1) - weights
    return torch.minimum(weights, earlier).sum()


def entropy(weights: Float[Tensor, "B T S"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over real target positions of the entropy of their weights, in nats."""
    each = -(weights * weights.clamp(min=TINY).log()).sum(-1)
    return each.masked_fill(~mask, 0).sum()


def alignment_loss(weights: Float[Tensor, "B T S"], wanted: Float[Tensor, "B T S"]) -> Float[Tensor, ""]:
    """The cross-entropy -sum of wanted log a: Chen et al. (2016), arXiv:1607.01628, equation 6. Rows of `wanted` that
    are zero do not count."""
    return -(wanted * weights.clamp(min=TINY).log()).sum()
