"""What every position encoding offers."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.types import Component


class Position(nn.Module, Component, ABC):
    """Knowledge of token order. `recurrent` says whether LSTM and GRU parts use it too; they know the order anyway.

    Shapes: positions [P] (counted from 0) -> vectors [P D].
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim"})

    def __init__(self, *, dim: int, recurrent: bool) -> None:
        super().__init__()
        self.dim = dim
        self.recurrent = recurrent

    @abstractmethod
    def embed(self, positions: Int[Tensor, " P"]) -> Float[Tensor, "#P D"]:
        """Vectors to add to the token embeddings."""
