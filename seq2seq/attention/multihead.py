"""Multi-head attention: Vaswani et al. (2017), arXiv:1706.03762, section 3.2.2; with one head of keys and values for
several of queries, multi-query (Shazeer 2019, arXiv:1911.02150) and grouped-query (Ainslie et al. 2023,
arXiv:2305.13245)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import SIZES, Attention, AttentionState
from seq2seq.layers.scaled_dot import heads_problem, join_heads, scaled_dot_product, split_heads
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Attended, Memory, source_part


@dataclass(frozen=True)
class Heads(AttentionState):
    """Keys and values of every head, computed once per source."""

    keys: Float[Tensor, "B G S d"] = source_part()
    values: Float[Tensor, "B G S d"] = source_part()
    mask: Bool[Tensor, "B S"] = source_part()


class MultiHeadAttention(Attention):
    """W_o [head_1; ...; head_H] with head_h = softmax(q W_q,h (k W_k,g)' / sqrt(d)) v W_v,g, and d = Q / H.

    g = h where `kv_heads` is null; else H / kv_heads heads share each g. At the start W_q and W_k make queries and keys
    of variance 1 from elements of the `query_size` and `memory_size` (root mean squares), as the scale presumes.

    Shapes: query [B T Q], states [B S M], keys and values [B kv_heads S d]; context [B T Q]; weights [B H T S].
    """

    wired: ClassVar[frozenset[str]] = Attention.wired | SIZES

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        query_size: float = 1.0,
        memory_size: float = 1.0,
        normalizer: Callable[[], Normalizer],
        heads: int,
        kv_heads: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads or heads
        self.normalizer = normalizer()
        self.dropout = dropout
        self.context_dim = query_dim
        shared_dim = self.kv_heads * (query_dim // heads)
        self.query_map = nn.Linear(query_dim, query_dim)
        self.key_map = nn.Linear(memory_dim, shared_dim, bias=False)  # a bias would cancel in the softmax
        self.value_map = nn.Linear(memory_dim, shared_dim)
        self.output_map = nn.Linear(query_dim, query_dim)
        sizes = (query_size, memory_size, 1.0, 1.0)
        for linear, size in zip((self.query_map, self.key_map, self.value_map, self.output_map), sizes, strict=True):
            nn.init.xavier_uniform_(linear.weight, gain=1 / size)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """The heads must divide the query's width, and the heads of keys and values must divide the heads."""
        heads, kv_heads = arguments["heads"], arguments["kv_heads"]
        return heads_problem("attention.heads", heads, "the decoder's width", query_dim) or (
            None if kv_heads is None else heads_problem("attention.kv_heads", kv_heads, "attention.heads", heads)
        )

    def value_weights(self) -> list[Tensor]:
        """Of W_v and W_o."""
        return [self.value_map.weight, self.output_map.weight]

    def start(self, memory: Memory) -> Heads:
        """Keys and values of every head, once per source."""
        keys, values = (split_heads(part(memory.states), self.kv_heads) for part in (self.key_map, self.value_map))
        if keys.device.type == "cpu":  # a product of each step would copy them
            keys, values = keys.contiguous(), values.contiguous()
        return Heads(keys=keys, values=values, mask=memory.mask)

    def attend(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Heads, need_weights: bool
    ) -> Attended:
        """Multi-head attention to the memory."""
        context, weights = scaled_dot_product(
            split_heads(self.query_map(query), self.heads),
            state.keys,
            state.values,
            state.mask[:, None, None, :],
            normalizer=self.normalizer,
            dropout=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        return Attended(self.output_map(join_heads(context)), weights)
