"""No attention: the decoder only has the summary of the source (Sutskever et al. 2014, arXiv:1409.3215)."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.attention.base import Attention, AttentionState
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Attended, Capability, Memory


class NoAttention(Attention):
    """An empty context: C = 0. Shapes: query [B T Q] -> context [B T 0]."""

    def __init__(self, *, query_dim: int, memory_dim: int, normalizer: Callable[[], Normalizer]) -> None:
        super().__init__()
        self.context_dim = 0

    @classmethod
    def gives(cls, **arguments: Any) -> frozenset[Capability]:
        """Neither context nor weights."""
        return frozenset()

    def start(self, memory: Memory) -> AttentionState:
        """An empty state."""
        return AttentionState()

    def attend(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: AttentionState, need_weights: bool
    ) -> Attended:
        """A context of width 0."""
        return Attended(query[..., :0])
