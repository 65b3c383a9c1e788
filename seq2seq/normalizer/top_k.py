"""Weighted attention to a part of the elements: softmax over the k best scores, exact zeros elsewhere
(Gupta et al. 2021, arXiv:2106.06899, section 2.1)."""

from jaxtyping import Bool, Float
from torch import Tensor

from seq2seq.normalizer.base import Normalizer


class TopK(Normalizer):
    """softmax over the `k` highest scores of each row (over all of them if there are fewer). Shapes: [... S]."""

    def __init__(self, *, k: int) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"normalizer.k must be at least 1, not {k}")
        self.k = k

    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """Weights over the best of the unmasked positions."""
        seen = scores.masked_fill(~mask, float("-inf"))
        best, index = seen.topk(min(self.k, scores.shape[-1]), -1, sorted=False)
        weights = best.softmax(-1)
        return weights.new_zeros(scores.shape).scatter(-1, index, weights)
