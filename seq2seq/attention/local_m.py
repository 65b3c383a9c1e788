"""Local attention, monotonic: Luong et al. (2015), arXiv:1508.04025, section 3.2, 'local-m'."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from seq2seq.attention.base import Keyed
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Capability


class LocalMonotonicAttention(LuongGeneralAttention):
    """'general' scores over the source positions |s - p| <= `window`, with p the target position itself.

    If the source is shorter, p is its last position. Shapes: query [B T Q], keys [B S Q]; scores [B T S].
    """

    def __init__(
        self, *, query_dim: int, memory_dim: int, normalizer: Callable[[], Normalizer], window: int, dropout: float
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.window = window

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """Source positions that can be compared with target positions."""
        return frozenset({Capability.ALIGNED_MEMORY})

    def weigh(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Keyed
    ) -> Float[Tensor, "B N S"]:
        """Weights inside the window."""
        last = state.mask.sum(1, keepdim=True) - 1
        distances = distances_from(positions.unsqueeze(0).minimum(last), state.mask.shape[1])
        return self.normalizer(self.score(query, state.keys), within(distances, self.window, state.mask))


def distances_from(centres: Num[Tensor, "B n"], size: int) -> Num[Tensor, "B n S"]:
    """s - p for each of `size` source positions."""
    return torch.arange(size, device=centres.device) - centres.unsqueeze(-1)


def within(distances: Num[Tensor, "B n S"], window: int, mask: Bool[Tensor, "B S"]) -> Bool[Tensor, "B n S"]:
    """True at the real positions at most `window` away."""
    return (distances.abs() <= window) & mask.unsqueeze(1)
