"""What every encoder offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Bool, Int
from torch import Tensor, nn

from seq2seq.types import Component, Memory


class Encoder(nn.Module, Component, ABC):
    """Source ids [B S] and their mask -> Memory: states [B S M] with M = `output_dim`, summary [B M].

    `recurrent` encoders use embeddings unscaled; for the others they are scaled, with positions. `state_size` is the
    root mean square of the elements of its states, about, once it is trained.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"embedding"})
    recurrent: ClassVar[bool]
    state_size: ClassVar[float] = 1.0

    @classmethod
    @abstractmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """The width of its input embeddings."""

    @classmethod
    @abstractmethod
    def output_dim(cls, **arguments: Any) -> int:
        """M, the width of its memory and its summary."""

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """Why these arguments cannot work together, or None."""
        return None

    @abstractmethod
    def forward(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Read the source."""
