"""Multi-head attention: Vaswani et al. (2017), arXiv:1706.03762, section 3.2.2."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.base import Attention, Keyed
from seq2seq.layers.scaled_dot import heads_problem, join_heads, scaled_dot_product, split_heads
from seq2seq.types import Attended, Memory


class MultiHeadAttention(Attention):
    """W_o [head_1; ...; head_H] with head_h = softmax(q W_q,h (k W_k,h)' / sqrt(d)) v W_v,h, and d = Q / H.

    Shapes: query [B T Q], states [B S M], keys and values [B S Q]; context [B T Q]; weights [B H T S].
    """

    def __init__(self, *, query_dim: int, memory_dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.context_dim = query_dim
        self.query_map = nn.Linear(query_dim, query_dim)
        self.key_map = nn.Linear(memory_dim, query_dim, bias=False)  # a bias would cancel in the softmax
        self.value_map = nn.Linear(memory_dim, query_dim)
        self.output_map = nn.Linear(query_dim, query_dim)
        for linear in (self.query_map, self.key_map, self.value_map, self.output_map):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """The query's width must split evenly into heads."""
        return heads_problem("attention.heads", arguments["heads"], "the decoder's width", query_dim)

    def start(self, memory: Memory) -> Keyed:
        """Keys and values of every head, once a source."""
        return Keyed(keys=self.key_map(memory.states), values=self.value_map(memory.states), mask=memory.mask)

    def attend(self, query: Float[Tensor, "B N Q"], state: Keyed, need_weights: bool) -> Attended:
        """Every head reads the memory in its own way."""
        context, weights = scaled_dot_product(
            split_heads(self.query_map(query), self.heads),
            split_heads(state.keys, self.heads),
            split_heads(state.values, self.heads),
            state.mask[:, None, None, :],
            dropout=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        return Attended(self.output_map(join_heads(context)), weights)
