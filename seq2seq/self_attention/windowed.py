"""Self-attention in a sliding window: Longformer, Beltagy et al. (2020), arXiv:2004.05150, section 3.1; the idea of a
window about the query's position is local-m's: Luong et al. (2015), arXiv:1508.04025, section 3.2."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from seq2seq.position.base import Position
from seq2seq.self_attention.base import Scope
from seq2seq.self_attention.full import FullSelfAttention


@dataclass(frozen=True)
class Blocks(Scope):
    """The scope of sequences cut into blocks, each of which attends to `count` of them: the previous one, itself, and
    if `count` is 3 the next one. `inside` is the scope of every block's queries and its keys."""

    count: int
    inside: Scope


class WindowedSelfAttention(FullSelfAttention):
    """As full attention, but token i attends only to tokens j with |i - j| <= `window`; a decoder's, i - window <= j <=
    i.

    Long sequences run in blocks of `window` tokens, each of which attends to itself and its neighbours: time and memory
    grow with T * window instead of T * T. Shapes: [B T D] -> [B T D]; scores [B*N H W P] of N blocks, W = window, P = 3
    W (2 W in a decoder).
    """

    def __init__(self, *, dim: int, heads: int, dropout: float, kv_heads: int | None, window: int) -> None:
        super().__init__(dim=dim, heads=heads, dropout=dropout, kv_heads=kv_heads)
        self.window = window

    @classmethod
    def problem(cls, *, heads: int, **arguments: Any) -> str | None:
        """A window has at least one neighbour."""
        if arguments["window"] < 1:
            return f"self_attention.window must be at least 1, not {arguments['window']}"
        return super().problem(heads=heads, **arguments)

    @property
    def reach(self) -> int:
        """The window."""
        return self.window

    def reads(self, queries: Int[Tensor, " T"], keys: Int[Tensor, " P"]) -> Bool[Tensor, "T P"]:
        """The positions in the window."""
        return (queries.unsqueeze(1) - keys).abs() <= self.window

    def whole(self, real: Bool[Tensor, "B T"], position: Position | None, *, causal: bool) -> Scope:
        """Blocks, or masked full attention if that has no more scores, and in exported graphs, which cannot choose by
        length."""
        count = 2 if causal else 3
        if torch.compiler.is_exporting() or real.shape[1] <= count * self.window:
            return super().whole(real, position, causal=causal)
        keys = torch.arange(count * self.window, device=real.device)
        queries = keys[self.window : 2 * self.window]
        reads = self.reads(queries, keys)
        if causal:
            reads = reads & (queries.unsqueeze(1) >= keys)
        # As in full attention, padding attends at least to itself.
        mask = (self._neighbours(real, count).unsqueeze(2) & reads) | (queries.unsqueeze(1) == keys)
        inside = Scope.of(mask.flatten(0, 1).unsqueeze(1), position, queries, keys)
        return Blocks(torch.arange(real.shape[1], device=real.device), position, None, None, count, inside)

    def attend(
        self,
        query: Float[Tensor, "B H T d"],
        keys: Float[Tensor, "B G P d"],
        values: Float[Tensor, "B G P d"],
        scope: Scope,
    ) -> Float[Tensor, "B H T d"]:
        """Each head's context; block by block, as if each were a sentence, if the scope has blocks."""
        if not isinstance(scope, Blocks):
            return super().attend(query, keys, values, scope)
        query, keys, values = (part.transpose(1, 2) for part in (query, keys, values))
        parts = (self._blocks(query), self._neighbours(keys, scope.count), self._neighbours(values, scope.count))
        inside_query, inside_keys, inside_values = (part.flatten(0, 1).transpose(1, 2) for part in parts)
        context = super().attend(inside_query, inside_keys, inside_values, scope.inside)
        together = context.transpose(1, 2).unflatten(0, (len(query), -1)).flatten(1, 2)
        return together[:, : query.shape[1]].transpose(1, 2)

    def _blocks(self, rows: Shaped[Tensor, "B T *X"]) -> Shaped[Tensor, "B N W *X"]:
        """The sequence in blocks, the last one filled up with zeros."""
        missing = rows.new_zeros(len(rows), -rows.shape[1] % self.window, *rows.shape[2:])
        return torch.cat((rows, missing), 1).unflatten(1, (-1, self.window))

    def _neighbours(self, rows: Shaped[Tensor, "B T *X"], count: int) -> Shaped[Tensor, "B N P *X"]:
        """Each block with its neighbours; zeros beyond both ends."""
        blocks = self._blocks(rows)
        nothing = torch.zeros_like(blocks[:, :1])
        padded = torch.cat((nothing, blocks, nothing), 1)
        return torch.cat([padded[:, first : first + blocks.shape[1]] for first in range(count)], 2)
