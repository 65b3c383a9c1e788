"""Softmax: weights in proportion to exp(score)."""

from jaxtyping import Bool, Float
from torch import Tensor

from seq2seq.normalizer.base import Normalizer


class Softmax(Normalizer):
    """p_s = exp(z_s) / sum_j exp(z_j). Every position gets some weight. Shapes: [... S] -> [... S]."""

    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """exp, over its sum."""
        return scores.masked_fill(~mask, float("-inf")).softmax(-1)
