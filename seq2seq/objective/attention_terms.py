"""Losses of attention: its own, and of weights, for any attention that has them: coverage, entropy, the distance from
links.

They are computed in fp32 at least, whatever autocast is. A weight of 0, from a sparse normalizer or outside a local
window, has no gradient.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seq2seq.layers.unpad import real_sum, unpad
from seq2seq.types import Decoded

TINY = 1e-9  # smaller weights count as this in logarithms


def penalty_of(decoded: Decoded, mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""] | None:
    """The sum over real positions of the attention's own loss, the mean over the layers that have one; or None."""
    penalties = [attended.penalty for attended in decoded.attended if attended.penalty is not None]
    return real_sum(unpad(torch.stack(penalties).mean(0), mask), mask) if penalties else None


def coverage_loss(weights: Float[Tensor, "B T S"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over real target positions t and all s of min(a_ts, c_ts), c_ts being the sum of earlier weights.

    It penalises attending to the same position again: See et al. (2017), arXiv:1704.04368, equation 12.
    """
    weights = _wide(weights).masked_fill(~mask.unsqueeze(-1), 0)
    steps = weights.shape[1]
    before = torch.ones(steps, steps, dtype=weights.dtype, device=weights.device).tril(-1)
    with torch.autocast(weights.device.type, enabled=False):
        earlier = before @ weights  # a cumulative sum has no deterministic kernel on a GPU
    return torch.minimum(weights, earlier).sum()


def entropy(weights: Float[Tensor, "B T S"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over real target positions of the entropy of their weights, in nats."""
    weights = _wide(weights)
    each = -(weights * weights.clamp(min=TINY).log()).sum(-1)
    return each.masked_fill(~mask, 0).sum()


def alignment_loss(weights: Float[Tensor, "B T S"], wanted: Float[Tensor, "B T S"]) -> Float[Tensor, ""]:
    """The cross-entropy -sum of wanted log a: Chen et al. (2016), arXiv:1607.01628, equation 6. Rows of `wanted` that
    are zero do not count."""
    return -(wanted * _wide(weights).clamp(min=TINY).log()).sum()


def _wide(weights: Float[Tensor, "B T S"]) -> Float[Tensor, "B T S"]:
    return weights.to(torch.promote_types(weights.dtype, torch.float32))
