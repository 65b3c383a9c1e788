"""The interface of attention mechanisms, and base classes for those that score positions or run step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.layers.dropout import dropout
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Attended, Capability, Component, Memory, State, source_part


@dataclass(frozen=True)
class AttentionState(State):
    """The state of a mechanism: the target position of the next query, and what subclasses add."""

    position: int = 0


@dataclass(frozen=True)
class Keyed(AttentionState):
    """Keys and values, computed once per source."""

    keys: Float[Tensor, "B S A"] = source_part()
    values: Float[Tensor, "B S C"] = source_part()
    mask: Bool[Tensor, "B S"] = source_part()


SIZES = frozenset({"query_size", "memory_size"})  # wired arguments of those whose first weights depend on them


class Attention(nn.Module, Component, ABC):
    """Attention of a decoder's queries to an encoder's memory.

    Shapes: query [B T Q], memory states [B S M]; context [B T C] with C = `context_dim`; weights [B H T S].
    `normalizer` is a factory of the module that turns scores into weights.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"query_dim", "memory_dim", "normalizer"})
    weights_sum_to_one: ClassVar[bool] = True  # at most 1 where False
    context_dim: int

    @classmethod
    def gives(cls, **arguments: Any) -> frozenset[Capability]:
        """A context and weights; mechanisms that differ override this."""
        return frozenset({Capability.CONTEXT, Capability.WEIGHTS})

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """Why these widths cannot work, or None."""
        return None

    def value_weights(self) -> list[Tensor]:
        """The matrices of values and of the output, if there are any: a Transformer with `norm: deep` makes them
        smaller at the start."""
        return []

    @abstractmethod
    def start(self, memory: Memory) -> AttentionState:
        """Compute what depends only on the source."""

    @abstractmethod
    def attend(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Any, need_weights: bool
    ) -> Attended:
        """Attend for N independent queries of each sentence, each at its target position."""

    def forward(
        self, query: Float[Tensor, "B T Q"], state: AttentionState, need_weights: bool = False
    ) -> tuple[Attended, AttentionState]:
        """All steps together: query t is at target position `state.position` + t."""
        end = state.position + query.shape[1]
        attended = self.attend(query, torch.arange(state.position, end, device=query.device), state, need_weights)
        return attended, replace(state, position=end)

    def step(
        self, query: Float[Tensor, "B K Q"], state: AttentionState, need_weights: bool = False
    ) -> tuple[Attended, AttentionState]:
        """One step: the K queries are hypotheses at the same target position. In the result, T = K."""
        here = torch.full((1,), state.position, device=query.device)
        return self.attend(query, here, state, need_weights), replace(state, position=state.position + 1)


class ScoredAttention(Attention):
    """Score each position, normalise over unmasked ones, average the memory: Luong et al. (2015), equations 7 and 5.

    Subclasses define `score`. They may override `keys`, for what depends only on the memory, and `weigh`, to use a part
    of the positions. Shapes: scores [B T S], H = 1.
    """

    def __init__(
        self, *, query_dim: int, memory_dim: int, normalizer: Callable[[], Normalizer], dropout: float
    ) -> None:
        super().__init__()
        self.query_dim = query_dim
        self.context_dim = memory_dim
        self.normalizer = normalizer()
        self.dropout = dropout

    @abstractmethod
    def score(self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S A"]) -> Float[Tensor, "B T S"]:
        """How well each query matches each key."""

    def keys(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """The keys; the memory itself unless a mechanism projects it."""
        return states

    def start(self, memory: Memory) -> Keyed:
        """Keys, once per source; the values are the memory."""
        return Keyed(keys=self.keys(memory.states), values=memory.states, mask=memory.mask)

    def weigh(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Keyed
    ) -> Float[Tensor, "B N S"]:
        """Weights over the positions that are not masked."""
        return self.normalizer(self.score(query, state.keys), state.mask.unsqueeze(1))

    def attend(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Keyed, need_weights: bool
    ) -> Attended:
        """Weigh, then average."""
        weights = self.weigh(query, positions, state)
        return Attended(self.average(weights, state.values), weights.unsqueeze(1) if need_weights else None)

    def average(self, weights: Float[Tensor, "B N S"], values: Float[Tensor, "B S C"]) -> Float[Tensor, "B N C"]:
        """The context: the weighted sum of the values, with dropout on the weights in training."""
        dropped = dropout(weights, self.dropout, self.training)
        return torch.matmul(dropped, values.to(dropped.dtype))


class SteppedAttention(Attention):
    """A mechanism that depends on its own earlier weights and is computed step by step; subclasses define `advance`.

    `query_map` projects all queries to the width A of `advance` in one product before the loop.
    """

    query_map: nn.Linear

    @abstractmethod
    def advance(
        self, mapped: Float[Tensor, "B K A"], state: Any, need_weights: bool
    ) -> tuple[Attended, AttentionState]:
        """One step of K hypotheses, each with its own past, and the new state."""

    def attend(
        self, query: Float[Tensor, "B N Q"], positions: Int[Tensor, "#N"], state: Any, need_weights: bool
    ) -> Attended:
        """Attend for queries with the same past, at the position of the state."""
        return self.advance(self.query_map(query), state, need_weights)[0]

    def forward(
        self, query: Float[Tensor, "B T Q"], state: AttentionState, need_weights: bool = False
    ) -> tuple[Attended, AttentionState]:
        """Step by step."""
        steps = []
        for mapped in self.query_map(query).split(1, 1):
            attended, state = self.advance(mapped, state, need_weights)
            steps.append(attended)
        return Attended.join(steps), state

    def step(
        self, query: Float[Tensor, "B K Q"], state: AttentionState, need_weights: bool = False
    ) -> tuple[Attended, AttentionState]:
        """One step of K hypotheses."""
        return self.advance(self.query_map(query), state, need_weights)
