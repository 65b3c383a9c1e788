"""Multi-head self-attention over the whole sequence: Vaswani et al. (2017), arXiv:1706.03762, section 3.2; with fewer
heads of keys and values, multi-query (Shazeer 2019, arXiv:1911.02150) or grouped-query (Ainslie et al. 2023,
arXiv:2305.13245)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.layers.scaled_dot import heads_problem, join_heads, scaled_dot_product, split_heads
from seq2seq.position.base import Position
from seq2seq.self_attention.ancestry import Ancestry
from seq2seq.self_attention.base import Scope, SelfAttention, SlotCache
from seq2seq.types import source_part

APART = 32  # hypotheses: for fewer, masked attention to all slots is faster than gathering their own


@dataclass(frozen=True)
class PerHypothesis(Scope):
    """The scope of one step of many hypotheses (samples), each a row of its own with only the slots of its own past:
    `rows` index a cache whose sentences, heads and slots are one axis. Time and memory grow with their number, not with
    its square."""

    rows: Int[Tensor, "B K G t"]


@dataclass(frozen=True)
class SelfAttentionCache(SlotCache):
    """Keys and values of every slot; rows are sentences, so that beams share them."""

    keys: Float[Tensor, "B G P d"] = source_part()
    values: Float[Tensor, "B G P d"] = source_part()

    def written(self, keys: Float[Tensor, "B G K d"], values: Float[Tensor, "B G K d"]) -> "SelfAttentionCache":
        """With these slots appended."""
        return SelfAttentionCache(
            torch.cat((self.keys.to(keys.dtype), keys), 2), torch.cat((self.values.to(values.dtype), values), 2)
        )

    def per_hypothesis(self, rows: Int[Tensor, "B K G t"]) -> list[Float[Tensor, "B*K G t d"]]:
        """Keys and values of these slots, one row per hypothesis."""
        _, _, heads, past = rows.shape
        chosen = (part.flatten(0, 2).index_select(0, rows.flatten()) for part in (self.keys, self.values))
        return [part.view(-1, heads, past, part.shape[-1]) for part in chosen]

    def only(self, slots: Int[Tensor, "B p"]) -> "SelfAttentionCache":
        """These slots of each sentence."""
        sentences, heads, size, _ = self.keys.shape
        first = torch.arange(0, sentences * heads * size, size, device=slots.device).view(sentences, heads, 1)
        rows = (first + slots.unsqueeze(1)).flatten()
        chosen = (part.flatten(0, 2).index_select(0, rows) for part in (self.keys, self.values))
        return SelfAttentionCache(*(part.unflatten(0, (sentences, heads, -1)) for part in chosen))


class FullSelfAttention(SelfAttention):
    """W_o [head_1; ...; head_H] with head_h = softmax(q_h k_g' / sqrt(d) + bias_h) v_g and d = D / H.

    g = h where `kv_heads` is null; else the heads are divided into G = kv_heads groups, each with one head g of keys
    and values: 1 is multi-query. The cache is G / H times as large. Shapes: [B T D] -> [B T D]; scores [B H T T].
    """

    def __init__(self, *, dim: int, heads: int, dropout: float, kv_heads: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads or heads
        self.dropout = dropout
        kv_dim = self.kv_heads * (dim // heads)
        self.widths = [dim, kv_dim, kv_dim]
        # One product for queries, keys and values. A bias on the keys would cancel in the softmax: there is none.
        self.maps = nn.Linear(dim, sum(self.widths), bias=False)
        self.query_bias = nn.Parameter(torch.zeros(dim))
        self.value_bias = nn.Parameter(torch.zeros(kv_dim))
        self.output_map = nn.Linear(dim, dim)
        for weight in (*self.maps.weight.detach().split(self.widths), self.output_map.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.output_map.bias)

    def stacked_rows(self) -> dict[str, list[int]]:
        """Of the one product: queries, keys, values."""
        return {"maps.weight": self.widths}

    def value_weights(self) -> list[Tensor]:
        """The last rows of the one product, and the output's."""
        return [self.maps.weight[-self.widths[-1] :], self.output_map.weight]

    @classmethod
    def problem(cls, *, heads: int, **arguments: Any) -> str | None:
        """The groups must divide the heads."""
        kv_heads = arguments["kv_heads"]
        return None if kv_heads is None else heads_problem("self_attention.kv_heads", kv_heads, "heads", heads)

    def reads(self, queries: Int[Tensor, " T"], keys: Int[Tensor, " P"]) -> Bool[Tensor, "T P"] | None:
        """Which positions may attend to which, without causality and padding; None: all."""
        return None

    def whole(self, real: Bool[Tensor, "B T"], position: Position | None, *, causal: bool) -> Scope:
        """The scope of whole sequences. Padding is on the right, so a causal mask hides it."""
        positions = torch.arange(real.shape[1], device=real.device)
        mask = (positions.unsqueeze(1) >= positions)[None, None] if causal else real[:, None, None, :]
        reads = self.reads(positions, positions)
        if reads is not None:
            # Padding may be out of reach of real tokens, and a row without any key would be NaN: it attends to itself.
            mask = (mask & reads) | (positions.unsqueeze(1) == positions)
        return Scope.of(mask, position, positions, positions)

    def latest(self, ancestry: Ancestry, position: Position | None) -> Scope:
        """The scope of one step: K queries at the same position, and every remaining slot, or each one's own."""
        if ancestry.slots.shape[1] >= APART:
            return self._per_hypothesis(ancestry, position)
        mask, steps = ancestry.mask(), torch.arange(ancestry.length, device=ancestry.slots.device)
        queries = steps[-1].expand(mask.shape[2])
        reads = self.reads(queries[:1], steps)
        if reads is not None:
            mask = mask & reads[0, ancestry.steps][:, None, None]
        return Scope.of(mask, position, queries, steps, ancestry.steps)

    def _per_hypothesis(self, ancestry: Ancestry, position: Position | None) -> PerHypothesis:
        slots = ancestry.slots if self.reach is None else ancestry.slots[..., -(self.reach + 1) :]
        (sentences, beams, past), size = slots.shape, ancestry.steps.shape[1]
        first = torch.arange(0, sentences * self.kv_heads * size, size, device=slots.device)
        rows = first.view(sentences, 1, self.kv_heads, 1) + slots.unsqueeze(2)
        keys = torch.arange(ancestry.length - past, ancestry.length, device=slots.device)
        bias = None if position is None else position.bias(keys[-1:], keys)
        return PerHypothesis(keys[-1].expand(beams), position, None, None if bias is None else bias.unsqueeze(0), rows)

    def forward(self, states: Float[Tensor, "B T D"], scope: Scope) -> Float[Tensor, "B T D"]:
        """All positions at once."""
        query, keys, values = self._project(states, scope)
        return self.output_map(join_heads(self.attend(query, keys, values, scope)))

    def attend(
        self,
        query: Float[Tensor, "B H T d"],
        keys: Float[Tensor, "B G P d"],
        values: Float[Tensor, "B G P d"],
        scope: Scope,
    ) -> Float[Tensor, "B H T d"]:
        """Each head's context."""
        dropout = self.dropout if self.training else 0.0
        context, _ = scaled_dot_product(query, keys, values, scope.mask, bias=scope.bias, dropout=dropout)
        return context

    def empty_cache(self, sentences: int) -> SelfAttentionCache:
        """A cache without slots."""
        nothing = self.value_bias.new_zeros(sentences, self.kv_heads, 0, len(self.value_bias) // self.kv_heads)
        return SelfAttentionCache(nothing, nothing)

    def step(
        self, states: Float[Tensor, "B K D"], cache: SelfAttentionCache, scope: Scope
    ) -> tuple[Float[Tensor, "B K D"], SelfAttentionCache]:
        """One step of K hypotheses: write their slots, then attend to those in the scope."""
        query, keys, values = self._project(states, scope)
        cache = cache.written(keys, values)
        if not isinstance(scope, PerHypothesis):
            return self.output_map(join_heads(self.attend(query, cache.keys, cache.values, scope))), cache
        alone = query.transpose(1, 2).flatten(0, 1).unsqueeze(2)
        own_keys, own_values = cache.per_hypothesis(scope.rows)
        context = join_heads(self.attend(alone, own_keys, own_values, scope))
        return self.output_map(context.view(states.shape[0], states.shape[1], -1)), cache

    def _project(self, states: Float[Tensor, "B T D"], scope: Scope) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, rotated by their positions, and values, split into heads."""
        query, keys, values = self.maps(states).split(self.widths, -1)
        query = split_heads(query + self.query_bias.to(query.dtype), self.heads)
        values = split_heads(values + self.value_bias.to(values.dtype), self.kv_heads)
        return scope.rotate(query), scope.rotate(split_heads(keys, self.kv_heads)), values
