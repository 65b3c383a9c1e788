"""The few target tokens that the sentences of a batch may have, scored instead of the whole vocabulary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.types import State, source_part

SCORES = 64  # their number is a multiple of it: the kernels of a CPU are compiled for each


@dataclass(frozen=True)
class Shortlist(State):
    """`ids` are the tokens of all sentences of a batch, ascending, so that special symbols come first, and some that no
    sentence has; `outside` is 0 for those of a sentence and -inf for others, to be added to its logits. `columns` and
    `tokens` convert between places in `ids` and tokens.
    """

    ids: Int[Tensor, " L"]
    outside: Float[Tensor, "B 1 L"] = source_part()

    @classmethod
    def of(cls, allowed: Bool[Tensor, "B V"]) -> "Shortlist":
        """From a mask of each sentence's tokens, at least one per sentence."""
        wanted = allowed.any(0)
        missing = -int(wanted.sum()) % SCORES
        wanted[(~wanted).nonzero().squeeze(1)[:missing]] = True
        ids = wanted.nonzero().squeeze(1)
        outside = torch.zeros(len(allowed), 1, len(ids), device=ids.device)
        return cls(ids, outside.masked_fill(~allowed[:, ids].unsqueeze(1), float("-inf")))

    @property
    def own(self) -> Bool[Tensor, "B L"]:
        """Which of the ids each sentence has."""
        return self.outside.squeeze(1) == 0

    def tokens(self, columns: Int[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """The ids of these columns."""
        return self.ids[columns]

    def columns(self, tokens: Int[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """The columns of these ids, which must be among those of their sentence."""
        return torch.searchsorted(self.ids, tokens.contiguous())


@dataclass(frozen=True)
class Rows(Shortlist):
    """A shortlist with the product of features with its rows of the output layer."""

    product: Callable[[Float[Tensor, "B T E"]], Float[Tensor, "B T L"]] | None = None
