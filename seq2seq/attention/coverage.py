"""Coverage: additive attention with the sum of its earlier weights. Tu et al. (2016), arXiv:1601.04811, equations 6 to
10 (linguistic coverage, with fertility on request); See et al. (2017), arXiv:1704.04368, equations 10 to 12 (its
loss)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.base import AttentionState, Keyed, SteppedAttention
from seq2seq.normalizer.base import Normalizer
from seq2seq.types import Attended, Memory, hypothesis_part, source_part


@dataclass(frozen=True)
class Covered(Keyed):
    """Keys and values, the total weight of each source position so far, and its expected total."""

    coverage: Float[Tensor, "B K S"] = hypothesis_part()
    fertility: Float[Tensor, "B S"] | None = source_part()


class CoverageAttention(SteppedAttention, BahdanauAttention):
    """score_s = v . tanh(W q + U k_s + b + w c_s); c_s is the sum of the weights that s had at earlier steps, divided
    by N sigmoid(u . k_s) where a `fertility` N is given: a source token may correspond to up to N target tokens.

    Each step has a penalty, sum over s of min(weight_s, c_s): high if a position is read again. Each step needs the
    earlier weights, so steps cannot run in parallel. Shapes: query [B T Q], states [B S M], coverage [B K S], scores
    [B K S], penalty [B T]; A = attn_dim.
    """

    def __init__(
        self,
        *,
        query_dim: int,
        memory_dim: int,
        normalizer: Callable[[], Normalizer],
        attn_dim: int,
        normed: bool = False,
        fertility: float | None,
        dropout: float,
    ) -> None:
        super().__init__(
            query_dim=query_dim,
            memory_dim=memory_dim,
            normalizer=normalizer,
            attn_dim=attn_dim,
            normed=normed,
            dropout=dropout,
        )
        self.fertility = fertility
        self.coverage_map = nn.Linear(1, attn_dim, bias=False)
        self.fertility_map = nn.Linear(memory_dim, 1, bias=False) if fertility else None

    @classmethod
    def problem(cls, *, query_dim: int, memory_dim: int, **arguments: Any) -> str | None:
        """A fertility is a positive number."""
        fertility = arguments["fertility"]
        return None if fertility is None or fertility > 0 else f"attention.fertility must be above 0, not {fertility}"

    def start(self, memory: Memory) -> Covered:
        """The state before the first step: no coverage."""
        keyed = super().start(memory)
        nothing = torch.zeros(memory.mask.shape, device=memory.mask.device, dtype=_exact(memory.states)).unsqueeze(1)
        expected = None
        if self.fertility is not None and self.fertility_map is not None:
            expected = self.fertility * torch.sigmoid(self.fertility_map(memory.states).squeeze(-1).to(nothing.dtype))
        return Covered(keys=keyed.keys, values=keyed.values, mask=keyed.mask, coverage=nothing, fertility=expected)

    def advance(
        self, mapped: Float[Tensor, "B K A"], state: AttentionState, need_weights: bool
    ) -> tuple[Attended, Covered]:
        """Weights from the coverage of each hypothesis, and the updated coverage."""
        assert isinstance(state, Covered)
        covered = self.coverage_map(state.coverage.unsqueeze(-1))
        hidden = torch.tanh(mapped.unsqueeze(2) + state.keys.unsqueeze(1) + covered)
        weights = self.normalizer(self.v(hidden).squeeze(-1), state.mask.unsqueeze(1))
        exact = weights.to(state.coverage.dtype)
        penalty = torch.minimum(exact, state.coverage).sum(-1)
        added = exact if state.fertility is None else exact / state.fertility.unsqueeze(1)
        attended = Attended(
            self.average(weights, state.values), weights.unsqueeze(1) if need_weights else None, penalty
        )
        return attended, replace(state, coverage=state.coverage + added, position=state.position + 1)


def _exact(states: Tensor) -> torch.dtype:
    """Sums over many steps are kept in fp32 at least."""
    return torch.promote_types(states.dtype, torch.float32)
