"""Additive attention: Bahdanau et al. (2015), arXiv:1409.0473, appendix A.1.2."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import ScoredAttention
from seq2seq.layers.additive_score import ScoreVector, additive_score
from seq2seq.normalizer.base import Normalizer


class BahdanauAttention(ScoredAttention):
    """score(q, k) = v . tanh(W q + U k + b), with U k projected once per source; `normed`: g v / |v| instead of v.

    Shapes: query [B T Q], states [B S M], keys [B S A]; scores [B T S]; A = attn_dim.
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        normed: bool = False,
        dropout: float,
    ) -> None:
        super().__init__(query_dim=query_dim, memory_dim=memory_dim, normalizer=normalizer, dropout=dropout)
        self.query_map = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_map = nn.Linear(memory_dim, attn_dim)
        self.v = ScoreVector(attn_dim, normed=normed)
        for linear in (self.query_map, self.key_map):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(self.key_map.bias)

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """U k + b."""
        return self.key_map(states)

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """v . tanh(W q + U k + b)."""
        return additive_score(self.query_map(query), keys, self.v.vector)
