"""Queries, keys and values with scaled dot products, one head: Vaswani et al. (2017), arXiv:1706.03762, equation 1."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import SIZES, Keyed, ScoredAttention
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Memory


class ScaledDotAttention(ScoredAttention):
    """softmax((W q) (U k)' / sqrt(A)) (V k): for W q and U k of variance 1, the scores have variance 1 at any width. At
    the start W and U make it so, from elements of the `query_size` and `memory_size` (root mean squares).

    Shapes: query [B T Q], states [B S M], keys [B S A], values and context [B S A], [B T A]; A = attn_dim.
    """

    wired: ClassVar[frozenset[str]] = ScoredAttention.wired | SIZES

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        query_size: float = 1.0,
        memory_size: float = 1.0,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.context_dim = attn_dim
        self.query_map = nn.Linear(query_dim, attn_dim)
        self.key_map = nn.Linear(memory_dim, attn_dim, bias=False)  # a bias would cancel in the softmax
        self.value_map = nn.Linear(memory_dim, attn_dim)
        for linear, gain in ((self.query_map, 1 / query_size), (self.key_map, 1 / memory_size), (self.value_map, 1.0)):
            nn.init.xavier_uniform_(linear.weight, gain)
        for linear in (self.query_map, self.value_map):
            nn.init.zeros_(linear.bias)

    def value_weights(self) -> list[Tensor]:
        """V."""
        return [self.value_map.weight]

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """U k."""
        return self.key_map(states)

    def start(self, memory: Memory) -> Keyed:
        """Keys and values, once per source."""
        return replace(super().start(memory), values=self.value_map(memory.states))

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """(W q) . (U k) / sqrt(A)."""
        scaled = self.query_map(query) * (1 / math.sqrt(keys.shape[-1]))
        return torch.matmul(scaled, keys.transpose(1, 2))
