"""What every decoder offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Int
from torch import Tensor, nn

from seq2seq.types import Component, Decoded, Memory, State, Weights


class Decoder(nn.Module, Component, ABC):
    """Two roads that agree: `forward` runs all target positions at once, `step` one position of K hypotheses.

    No cache lives on the module: all that is carried is in the State, whose source part has a row a sentence and
    whose hypothesis part a row a beam. `recurrent` decoders read embeddings as they are; the others want them scaled,
    with positions. `learning_rate` is what suits a small model of its kind under Adam: `optimizer.lr: auto`.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"embedding", "attention", "memory_dim"})
    recurrent: ClassVar[bool]
    learning_rate: ClassVar[float] = 1e-3
    context_dim: int  # C of the last layer that attends

    @classmethod
    @abstractmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """The width of the input embeddings it reads."""

    @classmethod
    @abstractmethod
    def query_dim(cls, **arguments: Any) -> int:
        """Q, the width of what it asks its attention."""

    @classmethod
    @abstractmethod
    def feature_dim(cls, **arguments: Any) -> int:
        """D, the width of what it hands to the generator."""

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """Why these arguments cannot work together, or None."""
        return None

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state before the first token: one hypothesis a sentence."""

    @abstractmethod
    def forward(self, target_in: Int[Tensor, "B T"], state: Any, weights: Weights = Weights.NONE) -> Decoded:
        """Features of all positions at once, from a state that `start` made."""

    @abstractmethod
    def step(self, tokens: Int[Tensor, "B K"], state: Any, weights: Weights = Weights.NONE) -> tuple[Decoded, Any]:
        """Features [B K D] after one more token of each hypothesis, and the state that holds it."""
