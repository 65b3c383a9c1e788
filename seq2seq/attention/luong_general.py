"""Bilinear attention: Luong et al. (2015), arXiv:1508.04025, equation 8, 'general'."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import ScoredAttention
from seq2seq.attention.luong_dot import scaled_products
from seq2seq.normalizer.base import Normalizer


class LuongGeneralAttention(ScoredAttention):
    """score(q, k) = q . W k, with W k computed once per source; `scaled`: times a learned number, 1 at the start.

    Shapes: query [B T Q], keys [B S Q]; scores [B T S].
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        dropout: float,
        scaled: bool = False,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.key_map = nn.Linear(memory_dim, query_dim, bias=False)
        nn.init.xavier_uniform_(self.key_map.weight)
        self.scale = nn.Parameter(torch.tensor(1.0)) if scaled else None

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """W k."""
        return self.key_map(states)

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """q . W k."""
        return scaled_products(query, keys, self.scale)
