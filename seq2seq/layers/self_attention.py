"""Multi-head self-attention, of whole sequences or a step of a beam: Vaswani et al. (2017), arXiv:1706.03762, 3.2."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.layers.scaled_dot import join_heads, scaled_dot_product, split_heads
from seq2seq.types import State, hypothesis_part, source_part


@dataclass(frozen=True)
class Ancestry(State):
    """Which cache slots each hypothesis descends from. Beams reorder these few integers; the cache itself never moves.

    Step t writes one slot a hypothesis; `slots` [B K t] are those of its own past, `size` counts all slots written.
    """

    slots: Int[Tensor, "B K P"] = hypothesis_part()
    size: int = 0

    @classmethod
    def empty(cls, sentences: int, device: torch.device) -> "Ancestry":
        """No past: one hypothesis a sentence, before its first step."""
        return cls(torch.zeros(sentences, 1, 0, dtype=torch.long, device=device))

    def extend(self) -> "Ancestry":
        """The ancestry after this step's slots are written, one for each hypothesis."""
        sentences, beams, _ = self.slots.shape
        new = torch.arange(self.size, self.size + beams, device=self.slots.device).expand(sentences, beams)
        return Ancestry(torch.cat((self.slots, new.unsqueeze(-1)), -1), self.size + beams)

    def mask(self) -> Bool[Tensor, "B 1 K P"]:
        """True where a slot belongs to the hypothesis' own past."""
        sentences, beams, _ = self.slots.shape
        own = torch.zeros(sentences, beams, self.size, dtype=torch.bool, device=self.slots.device)
        return own.scatter_(2, self.slots, True).unsqueeze(1)


@dataclass(frozen=True)
class SelfAttentionCache(State):
    """Keys and values of every slot written so far; rows are sentences, so that beams share them."""

    keys: Float[Tensor, "B H P d"] = source_part()
    values: Float[Tensor, "B H P d"] = source_part()


class SelfAttention(nn.Module):
    """Each position reads the others of its own sequence. Shapes: [B T D] -> [B T D]."""

    def __init__(self, *, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        # One product for queries, keys and values. A bias on the keys would cancel in the softmax: there is none.
        self.maps = nn.Linear(dim, 3 * dim, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(dim))
        self.value_bias = nn.Parameter(torch.zeros(dim))
        self.output_map = nn.Linear(dim, dim)
        for weight in (*self.maps.weight.detach().chunk(3), self.output_map.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.output_map.bias)

    def forward(self, states: Float[Tensor, "B T D"], mask: Bool[Tensor, "#B 1 #T T"] | None) -> Float[Tensor, "B T D"]:
        """All positions at once; `mask` is True where query (row) may read key (column)."""
        query, keys, values = self._project(states)
        dropout = self.dropout if self.training else 0.0
        context, _ = scaled_dot_product(query, keys, values, mask, dropout=dropout)
        return self.output_map(join_heads(context))

    def empty_cache(self, sentences: int) -> SelfAttentionCache:
        """A cache without slots."""
        nothing = self.value_bias.new_zeros(sentences, self.heads, 0, len(self.value_bias) // self.heads)
        return SelfAttentionCache(nothing, nothing)

    def step(
        self, states: Float[Tensor, "B K D"], cache: SelfAttentionCache, mask: Bool[Tensor, "B 1 K P"]
    ) -> tuple[Float[Tensor, "B K D"], SelfAttentionCache]:
        """One step of K hypotheses: write their slots, then read those that `mask` (`Ancestry.mask`) shows."""
        query, keys, values = self._project(states)
        cache = SelfAttentionCache(
            torch.cat((cache.keys.to(keys.dtype), keys), 2), torch.cat((cache.values.to(values.dtype), values), 2)
        )
        context, _ = scaled_dot_product(query, cache.keys, cache.values, mask)
        return self.output_map(join_heads(context)), cache

    def _project(self, states: Float[Tensor, "B T D"]) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, values = self.maps(states).chunk(3, -1)
        biased = (query + self.query_bias.to(query.dtype), keys, values + self.value_bias.to(values.dtype))
        query, keys, values = (split_heads(part, self.heads) for part in biased)
        return query, keys, values


def causal_mask(size: int, device: torch.device) -> Bool[Tensor, "1 1 T T"]:
    """True where key (column) is not later than query (row)."""
    return torch.ones(size, size, dtype=torch.bool, device=device).tril()[None, None]
