"""The normalised entropy of attention weights: a share of the largest possible entropy."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def normalized_entropy(weights: Float[Tensor, "B H T S"], visible: Int[Tensor, " B"]) -> Float[Tensor, "B H T"]:
    """-sum_s p_s log p_s / log n: 0 with all weight on one position, 1 if uniform.

    n is the number of positions that attention sees in a sentence, `visible`; one position gives 0. 0 log 0 = 0.
    Weights that do not sum to 1 (a Gaussian window) are divided by their sum; zero weights give 0.
    """
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    total = weights.sum(-1, keepdim=True)
    shares = weights / torch.where(total > 0, total, 1.0)
    most = visible.to(shares).clamp(min=1).log()[:, None, None]
    return torch.special.entr(shares).sum(-1) / torch.where(most > 0, most, 1.0)


class MeanEntropy:
    """The mean of `normalized_entropy` over target tokens, end symbols among them, for each layer and head."""

    def __init__(self) -> None:
        self._sums: list[Float[Tensor, " H"]] = []
        self.tokens = 0

    def add(self, layers: Sequence[Float[Tensor, "H T S"]], visible: int) -> None:
        """One sentence's weights, without padding, of which attention sees `visible` columns."""
        found = [normalized_entropy(heads.unsqueeze(0), torch.tensor([visible]))[0].sum(-1) for heads in layers]
        self._sums = [a + b for a, b in zip(self._sums, found, strict=True)] if self.tokens else found
        self.tokens += layers[0].shape[1]

    def result(self) -> list[list[float]]:
        """[layers][heads]; empty if nothing was added."""
        return [(sums / self.tokens).tolist() for sums in self._sums]
