"""Cosine attention: Graves et al. (2014), arXiv:1410.5401, equations 5 and 6, with a learned key strength as in Henry
et al. (2020), arXiv:2010.04245, equation 2."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.attention.base import ScoredAttention
from seq2seq.normalizer.base import Normalizer


class CosineAttention(ScoredAttention):
    """score(q, k) = g cos(W q, U k): only directions matter; g > 0 is learned and starts at `scale`. None is sqrt(A):
    cosines of random directions have variance 1 / A, so scores start with variance 1.

    Shapes: query [B T Q], states [B S M], keys [B S A], of length 1; scores [B T S]; A = attn_dim.
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        scale: float | None,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.query_map = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_map = nn.Linear(memory_dim, attn_dim, bias=False)
        first = math.sqrt(attn_dim) if scale is None else scale
        self.log_scale = nn.Parameter(torch.tensor(math.log(first)))
        for linear in (self.query_map, self.key_map):
            nn.init.xavier_uniform_(linear.weight)

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """The scale is a positive number."""
        scale = arguments["scale"]
        return None if scale is None or scale > 0 else f"attention.scale must be above 0, not {scale}"

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """The directions of U k."""
        return F.normalize(self.key_map(states), dim=-1)

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """g cos(W q, U k)."""
        directions = F.normalize(self.query_map(query), dim=-1) * self.log_scale.exp()
        return torch.matmul(directions.to(keys.dtype), keys.transpose(1, 2))
