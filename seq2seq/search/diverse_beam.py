"""Diverse beam search: Vijayakumar et al. (2016), arXiv:1610.02424, algorithm 1, with Hamming diversity."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, SearchLimits
from seq2seq.search.beam import Beams, BeamSearch

SHARED = ("tokens", "log_probs", "coverage", "ended_tokens", "ended_log_probs", "ended_scores")  # out to the groups


class DiverseBeamSearch(BeamSearch):
    """`groups` beams of beam_size / groups hypotheses each, which choose their tokens one after the other in each step.

    A token that n hypotheses of earlier groups took at the same step is ranked `diversity` * n lower, in nats: this
    affects which hypotheses grow and end, but not log_prob or score. A sentence is done when each group has enough
    finished hypotheses. A hypothesis found by two groups is returned once, so there may be fewer than beam_size
    results.
    """

    def __init__(
        self,
        *,
        beam_size: int,
        groups: int,
        diversity: float,
        length_penalty: float,
        coverage_penalty: float = 0.0,
        **limits: Unpack[SearchLimits],
    ) -> None:
        super().__init__(
            beam_size=beam_size,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            **limits,
        )
        if groups < 1 or beam_size % groups:
            raise ValueError(f"search.groups: expected a divisor of search.beam_size={beam_size}, got {groups}")
        if diversity < 0:
            raise ValueError(f"search.diversity: expected 0 or more, got {diversity}")
        self.roots = self.groups = groups
        self.diversity = diversity

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The groups' hypotheses for each sentence, best first."""
        return [_together(found) for found in super().__call__(model, source, mask, prefix, numbers)]

    def _grow(
        self, beams: Beams, log_probs: Float[Tensor, "B J V"], penalty: Float[Tensor, "B V"] | None = None
    ) -> tuple[Beams, Int[Tensor, "B K"]]:
        """Group after group, with the penalty for tokens of earlier groups."""
        taken = torch.zeros_like(log_probs[:, 0])
        grown: list[Beams] = []
        parents: list[Tensor] = []
        for group, choices in zip(self._split(beams), log_probs.chunk(self.groups, 1), strict=True):
            now, chosen = super()._grow(group, choices, self.diversity * taken)
            taken = taken.scatter_add(1, now.tokens[..., -1], now.log_probs.isfinite().to(taken))
            parents.append(chosen + len(grown) * choices.shape[1])
            grown.append(now)
        return _join(grown), torch.cat(parents, 1)

    def _split(self, beams: Beams) -> list[Beams]:
        """Each group's growing and finished hypotheses."""
        parts = zip(*(part.chunk(self.groups, 1) for part in _shared(beams).values()), strict=True)
        return [replace(beams, **dict(zip(_shared(beams), part, strict=True))) for part in parts]


def _join(groups: Sequence[Beams]) -> Beams:
    """The groups' hypotheses concatenated."""
    joined: dict[str, Any] = {
        name: torch.cat([_shared(group)[name] for group in groups], 1) for name in _shared(groups[0])
    }
    return replace(groups[0], **joined)


def _shared(beams: Beams) -> dict[str, Any]:
    """The fields with an axis of hypotheses."""
    return {name: getattr(beams, name) for name in SHARED if getattr(beams, name) is not None}


def _together(found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The groups' hypotheses, best first, without duplicates."""
    once: dict[tuple[int, ...], Hypothesis] = {}
    for hypothesis in sorted(found, key=lambda hypothesis: -hypothesis.score):
        once.setdefault(tuple(hypothesis.tokens), hypothesis)
    return list(once.values())
