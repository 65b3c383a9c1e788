"""No pooling: the memory has one state per source token."""

from typing import Any

from seq2seq.pooling.base import Pooling
from seq2seq.types import Capability, Memory


class NoPooling(Pooling):
    """The memory as it is. Shapes: [B S M] -> [B S M]."""

    def __init__(self, *, memory_dim: int) -> None:
        super().__init__()

    @classmethod
    def gives(cls, **arguments: Any) -> frozenset[Capability]:
        """States stay aligned to tokens."""
        return frozenset({Capability.ALIGNED_MEMORY})

    def forward(self, memory: Memory) -> Memory:
        """Nothing changes."""
        return memory
