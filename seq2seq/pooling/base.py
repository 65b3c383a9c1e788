"""What every pooling offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from seq2seq.types import Component, Memory


class Pooling(nn.Module, Component, ABC):
    """Memory [B S M] -> Memory [B R M] with R <= S and no `tokens`: a state no longer belongs to one source token.

    The summary stays the encoder's.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"memory_dim"})

    @classmethod
    def problem(cls, *, memory_dim: int, **arguments: Any) -> str | None:
        """Why this width cannot work, or None."""
        return None

    @abstractmethod
    def forward(self, memory: Memory) -> Memory:
        """Shorten the memory."""
