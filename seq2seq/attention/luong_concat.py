"""Concatenation attention: Luong et al. (2015), arXiv:1508.04025, equation 8, 'concat'."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.attention.base import ScoredAttention
from seq2seq.layers.additive_score import ScoreVector, additive_score
from seq2seq.normalizer.base import Normalizer


class LuongConcatAttention(ScoredAttention):
    """score(q, k) = v . tanh(W [q; k]), computed as v . tanh(W_q q + W_k k) so that W_k k is computed once per source;
    `normed`: g v / |v| instead of v.

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
        self.map = PartedLinear(query_dim + memory_dim, attn_dim, bias=False)
        self.v = ScoreVector(attn_dim, normed=normed)
        nn.init.xavier_uniform_(self.map.weight)

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """W_k k."""
        return self.map.part(states, self.query_dim)

    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """v . tanh(W_q q + W_k k)."""
        mapped = self.map.part(query, 0)
        return additive_score(mapped, keys, self.v.vector)


class PartedLinear(nn.Linear):
    """A linear map of two inputs side by side, each of which is mapped by itself."""

    def part(self, inputs: Float[Tensor, "B T i"], first: int) -> Float[Tensor, "B T A"]:
        """The share of an input whose columns begin at `first`."""
        return F.linear(inputs, self.weight[:, first : first + inputs.shape[-1]])
