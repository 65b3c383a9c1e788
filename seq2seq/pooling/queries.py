"""Pooling by learned queries: Lee et al. (2019), arXiv:1810.00825, section 3.2, equation 10."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.layers.scaled_dot import heads_problem, join_heads, scaled_dot_product, split_heads
from seq2seq.pooling.base import Pooling
from seq2seq.types import Memory


class QueryPooling(Pooling):
    """`size` learned vectors attend to the whole memory with multi-head attention: later attention no longer grows with
    S.

    W_o [head_1; ...] + q, with the learned queries q. Shapes: [B S M] -> [B size M].
    """

    def __init__(self, *, memory_dim: int, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(size, memory_dim))
        self.key_map = nn.Linear(memory_dim, memory_dim, bias=False)
        self.value_map = nn.Linear(memory_dim, memory_dim)
        self.output_map = nn.Linear(memory_dim, memory_dim)
        for linear in (self.key_map, self.value_map, self.output_map):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (self.value_map, self.output_map):
            nn.init.zeros_(linear.bias)

    @classmethod
    def problem(cls, *, memory_dim: int, **arguments: Any) -> str | None:
        """The heads must divide the memory's width."""
        return heads_problem("pooling.heads", arguments["heads"], "the memory's width", memory_dim)

    def forward(self, memory: Memory) -> Memory:
        """Multi-head attention of the learned queries to the memory."""
        sentences = memory.states.shape[0]
        queries = self.queries.expand(sentences, -1, -1)
        context, _ = scaled_dot_product(
            split_heads(queries, self.heads),
            split_heads(self.key_map(memory.states), self.heads),
            split_heads(self.value_map(memory.states), self.heads),
            memory.mask[:, None, None, :],
        )
        states: Tensor = self.output_map(join_heads(context)) + queries
        real = memory.mask.new_ones(sentences, len(self.queries))
        return replace(memory, states=states, mask=real, tokens=None)
