"""What every decoder offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Int
from torch import Tensor, nn

from seq2seq.types import Component, Decoded, Memory, State, Weights


class Decoder(nn.Module, Component, ABC):
    """`forward` runs all target positions together, `step` one position of K hypotheses, with the same results.

    The module has no cache: everything is in the State, whose source part has one row per sentence and whose hypothesis
    part has one row per hypothesis. `recurrent` decoders use embeddings unscaled; for the others they are scaled, with
    positions. `query_size` is the root mean square of the elements of its queries, about, once it is trained.
    `learning_rate` is good for a small model of its kind with Adam: it is `optimizer.lr: auto`.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"embedding", "attention", "memory_dim"})
    recurrent: ClassVar[bool]
    query_size: ClassVar[float] = 1.0
    learning_rate: ClassVar[float] = 1e-3
    context_dim: int  # C of the last layer with attention

    @classmethod
    @abstractmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """The width of its input embeddings."""

    @classmethod
    @abstractmethod
    def query_dim(cls, **arguments: Any) -> int:
        """Q, the width of its attention queries."""

    @classmethod
    @abstractmethod
    def feature_dim(cls, **arguments: Any) -> int:
        """D, the width of its features."""

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """Why these arguments cannot work together, or None."""
        return None

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state before the first token: one hypothesis per sentence."""

    @abstractmethod
    def forward(self, target_in: Int[Tensor, "B T"], state: Any, weights: Weights = Weights.NONE) -> Decoded:
        """Features of all positions, from the state of `start`."""

    @abstractmethod
    def step(self, tokens: Int[Tensor, "B K"], state: Any, weights: Weights = Weights.NONE) -> tuple[Decoded, Any]:
        """Features [B K D] after one more token of each hypothesis, and the new state."""
