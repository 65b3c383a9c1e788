"""The few target tokens that a sentence may have, scored instead of the whole vocabulary."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.types import State, source_part


@dataclass(frozen=True)
class Shortlist(State):
    """`ids` of each sentence, ascending, so that special symbols come first; `real` is False after its last.

    A column means a different token in each sentence: `columns` and `tokens` convert between them.
    """

    ids: Int[Tensor, "B L"] = source_part()
    real: Bool[Tensor, "B L"] = source_part()

    @classmethod
    def of(cls, allowed: Bool[Tensor, "B V"]) -> "Shortlist":
        """From a mask of each sentence's tokens, at least one per sentence."""
        counts = allowed.sum(1, keepdim=True)
        columns = torch.arange(int(counts.max()), device=allowed.device)
        real = columns < counts
        ids = torch.zeros(real.shape, dtype=torch.long, device=allowed.device)
        ids[real] = allowed.nonzero()[:, 1]
        return cls(ids, real)

    def tokens(self, columns: Int[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """The ids of these columns."""
        return self.ids.gather(1, columns)

    def columns(self, tokens: Int[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """The columns of these ids, which must be among those of their sentence."""
        ascending = self.ids.masked_fill(~self.real, torch.iinfo(torch.long).max)
        return torch.searchsorted(ascending, tokens.contiguous())


@dataclass(frozen=True)
class Rows(Shortlist):
    """A shortlist with its columns of the output layer: `bias` is -inf for padding."""

    weight: Float[Tensor, "B E L"] = source_part()
    bias: Float[Tensor, "B 1 L"] = source_part()
