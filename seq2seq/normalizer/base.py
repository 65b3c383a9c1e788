"""What every normalizer offers."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.types import Component


class Normalizer(nn.Module, Component, ABC):
    """Scores over source positions -> weights: none negative, 0 where `mask` is False, 1 in sum.

    Shapes: scores [... S], mask broadcastable to them; at least one position of each row is True.
    """

    @abstractmethod
    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """Weights over the positions that `mask` shows."""
