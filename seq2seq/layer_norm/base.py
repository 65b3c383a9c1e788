"""What every layer normalisation offers."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.types import Component


class LayerNormalization(nn.Module, Component, ABC):
    """Normalises the state of each position, of width `dim`. Shapes: [B T D] -> [B T D].

    One that has a kernel for it may add `for_products` to `wired`: whether only matrix products read the result, which
    may then have autocast's precision. After a sum (`norm: post`) it does not: the states themselves go on.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim"})

    @abstractmethod
    def forward(self, states: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Normalise each position."""
