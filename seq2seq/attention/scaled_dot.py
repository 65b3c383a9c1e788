"""Queries, keys and values with scaled dot products, one head: Vaswani et al. (2017), arXiv:1706.03762, equation 1."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import Keyed, ScoredAttention
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Memory


class ScaledDotAttention(ScoredAttention):
    """softmax((W q) (U k)' / sqrt(A)) (V k): the scale keeps the scores' variance at 1 for any width.

    Shapes: query [B T Q], states [B S M], keys [B S A], values and context [B S A], [B T A]; A = attn_dim.
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.context_dim = attn_dim
        self.query_map = nn.Linear(query_dim, attn_dim)
        self.key_map = nn.Linear(memory_dim, attn_dim, bias=False)  # a bias would cancel in the softmax
        self.value_map = nn.Linear(memory_dim, attn_dim)
        for linear in (self.query_map, self.key_map, self.value_map):
            nn.init.xavier_uniform_(linear.weight)
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
