"""Beam search with length normalisation and coverage penalty: Wu et al. (2016), arXiv:1609.08144, section 7, but with
|y|^a as the length penalty."""

from dataclasses import dataclass, replace
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search, SearchLimits, first_tokens, topk
from seq2seq.search.constraints import NEVER, Constraints
from seq2seq.types import EOS, Capability, State, hypothesis_part, select_parents, source_part

# The smallest sum of weights of a source position in the coverage penalty; with sparse attention the sum may be 0.
MIN_COVERAGE = 1e-6


@dataclass(frozen=True)
class Beams(State):
    """The live hypotheses and the best finished ones, one row per sentence of the batch.

    `coverage` is the sum of attention weights of each source position, starting at 1 for masked ones; None without a
    coverage penalty. `rules` are the constraints on the outputs; `row` is the sentence's index in the original batch.
    `before` tokens of the targets were given before the first step.
    """

    tokens: Int[Tensor, "B K t"] = hypothesis_part()
    log_probs: Float[Tensor, "B K"] = hypothesis_part()
    coverage: Float[Tensor, "B K S"] | None = hypothesis_part()
    ended_tokens: Int[Tensor, "B N L"] = source_part()
    ended_log_probs: Float[Tensor, "B N"] = source_part()
    ended_scores: Float[Tensor, "B N"] = source_part()
    rules: Constraints = source_part()
    row: Int[Tensor, " B"] = source_part()
    before: int = 0

    @property
    def width(self) -> int:
        """The beam size: the number of finished hypotheses to find, and the largest number of live ones."""
        return self.ended_scores.shape[1]

    @property
    def done(self) -> Bool[Tensor, " B"]:
        """Sentences with enough finished hypotheses, or without any live one."""
        return (self.ended_scores > NEVER).all(1) | (self.log_probs == NEVER).all(1)

    def attending(self, weights: Float[Tensor, "B K S"] | None) -> "Beams":
        """The beams after one more step of attention."""
        if self.coverage is None:
            return self
        assert weights is not None
        return replace(self, coverage=self.coverage + weights)


class BeamSearch(Search):
    """Keep the `beam_size` most likely hypotheses; a sentence is done when that many are finished.

    Live hypotheses are selected by log p alone. Finished ones are ranked by

        log p / |y|^length_penalty + coverage_penalty * sum over s of log(min(weight of s over all steps, 1))

    where |y| and the steps count the end symbol, and s runs over the positions of the memory that are not masked
    (equation 14; sums below MIN_COVERAGE are raised to it). |y| also counts the tokens that the model's targets have
    begun with (`target_start`). The weights are those of the last layer with attention, the mean over its heads.
    Finished sentences are removed from the batch.
    """

    roots = 1  # hypotheses before the first token

    def __init__(
        self,
        *,
        beam_size: int,
        length_penalty: float,
        coverage_penalty: float = 0.0,
        **limits: Unpack[SearchLimits],
    ) -> None:
        if beam_size < 1:
            raise ValueError(f"search.beam_size must be at least 1, not {beam_size}")
        if coverage_penalty < 0:
            raise ValueError(f"search.coverage_penalty: expected 0 (off) or more, got {coverage_penalty}")
        super().__init__(**limits)
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """Attention weights, if there is a coverage penalty."""
        return frozenset({Capability.WEIGHTS}) if arguments.get("coverage_penalty") else frozenset()

    @property
    def most(self) -> int:
        """The beam size."""
        return self.beam_size

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The `beam_size` best hypotheses of each sentence, best first."""
        results: list[list[Hypothesis]] = [[] for _ in range(len(source))]
        memory = model.encode(source, mask)
        beams = self._start(memory.mask, self.constraints(mask, prefix), len(model.target_start))
        state = model.start(memory).advance(torch.zeros_like(beams.tokens[..., 0]))
        while len(beams.row):
            log_probs, weights, state = model.step(beams.tokens[..., -1], state, self.coverage_penalty > 0)
            last = beams.rules.at_limit(beams.tokens)
            beams, parents = self._grow(beams.attending(weights), beams.rules.restrict(log_probs, beams.tokens))
            beams, state, parents = self._release(beams, state, parents, beams.done | last, results)
            state = state.advance(parents)
        return results

    def _start(self, mask: Bool[Tensor, "B S"], rules: Constraints, before: int) -> Beams:
        sentences, device = len(mask), mask.device
        empty = torch.full((sentences, self.beam_size), NEVER, dtype=torch.float64, device=device)
        coverage = (~mask).double().unsqueeze(1).expand(-1, self.roots, -1)
        return Beams(
            tokens=first_tokens(sentences, device).unsqueeze(1).expand(-1, self.roots, -1),
            log_probs=torch.zeros(sentences, self.roots, dtype=torch.float64, device=device),
            coverage=coverage if self.coverage_penalty else None,
            ended_tokens=torch.full((sentences, self.beam_size, int(rules.limits.max())), EOS, device=device),
            ended_log_probs=empty,
            ended_scores=empty,
            rules=rules,
            row=torch.arange(sentences, device=device),
            before=before,
        )

    def _grow(
        self, beams: Beams, log_probs: Float[Tensor, "B J V"], penalty: Float[Tensor, "B V"] | None = None
    ) -> tuple[Beams, Int[Tensor, "B K"]]:
        """Extend each hypothesis by a token: candidates that end join the finished ones, and the best others become the
        live ones. A `penalty` on tokens affects which candidates are selected, but not their scores.

        Twice the beam size is enough candidates: each hypothesis has only one candidate that ends, so at least half of
        them do not.
        """
        count = 2 * beams.width
        # Top-k per hypothesis, then among those: faster than one top-k over all hypotheses and the vocabulary.
        penalized = log_probs if penalty is None else log_probs - penalty.unsqueeze(1)
        best, tokens = topk(penalized, min(count, penalized.shape[-1]))
        ranks = (beams.log_probs.unsqueeze(-1) + best).flatten(1)
        ranks, index = ranks.topk(min(count, ranks.shape[1]), -1)
        parents = index // best.shape[-1]
        tokens = tokens.flatten(1).gather(1, index)
        totals = ranks if penalty is None else ranks + penalty.gather(1, tokens)
        ends = tokens == EOS
        beams = self._collect(beams, parents, totals, ends)
        order = torch.where(ends, NEVER, ranks).topk(min(beams.width, ranks.shape[1]), -1).indices
        parents, tokens, totals = (part.gather(1, order) for part in (parents, tokens, totals.masked_fill(ends, NEVER)))
        grown = torch.cat((select_parents(beams.tokens, parents), tokens.unsqueeze(-1)), -1)
        coverage = None if beams.coverage is None else select_parents(beams.coverage, parents)
        return replace(beams, tokens=grown, log_probs=totals, coverage=coverage), parents

    def _collect(
        self,
        beams: Beams,
        parents: Int[Tensor, "B c"],
        totals: Float[Tensor, "B c"],
        ends: Bool[Tensor, "B c"],
    ) -> Beams:
        """Merge the candidates that end, among the best `width`, with the hypotheses that are finished already."""
        finished = ends & (totals > NEVER)
        finished[:, beams.width :] = False
        if not finished.any():
            return beams
        length = beams.before + beams.tokens.shape[-1]  # the start symbol is not counted, the end symbol is
        scores = totals / length**self.length_penalty
        if beams.coverage is not None:
            covered = beams.coverage.clamp(MIN_COVERAGE, 1.0).log().sum(-1)
            scores = scores + self.coverage_penalty * covered.gather(1, parents)
        scores = scores.where(finished, NEVER)
        all_scores, order = torch.cat((beams.ended_scores, scores), 1).topk(beams.width, -1)
        tokens = select_parents(beams.tokens[..., 1:], parents)
        padding = torch.full((*tokens.shape[:2], beams.ended_tokens.shape[-1] - tokens.shape[-1]), EOS)
        tokens = torch.cat((tokens, padding.to(tokens)), -1)
        return replace(
            beams,
            ended_tokens=select_parents(torch.cat((beams.ended_tokens, tokens), 1), order),
            ended_log_probs=torch.cat((beams.ended_log_probs, totals), 1).gather(1, order),
            ended_scores=all_scores,
        )

    def _release(
        self,
        beams: Beams,
        state: Any,
        parents: Int[Tensor, "B K"],
        done: Bool[Tensor, " B"],
        results: list[list[Hypothesis]],
    ) -> tuple[Beams, Any, Int[Tensor, "b K"]]:
        """Move sentences that are done to `results`, and remove their rows from the batch."""
        if not done.any():
            return beams, state, parents
        finished = beams.keep(done.nonzero().squeeze(1))
        rows = (finished.row, finished.ended_tokens, finished.ended_log_probs, finished.ended_scores)
        for row, tokens, log_probs, scores in zip(*(part.tolist() for part in rows), strict=True):
            results[row] = [
                Hypothesis(ids[: ids.index(EOS)] if EOS in ids else ids, log_prob, score)
                for ids, log_prob, score in zip(tokens, log_probs, scores, strict=True)
                if score > NEVER
            ]
        live = (~done).nonzero().squeeze(1)
        return beams.keep(live), state.keep(live), parents.index_select(0, live)
