"""Beam search with length normalisation: Wu et al. (2016), arXiv:1609.08144, section 7, with |y|^a for the penalty."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.model import Model
from seq2seq.search.base import Hypothesis, Search, first_tokens, restrict
from seq2seq.types import EOS, State, hypothesis_part, select_parents, source_part

NEVER = float("-inf")


@dataclass(frozen=True)
class Beams(State):
    """The hypotheses still growing, and the best that ended: one row a sentence of the batch."""

    tokens: Int[Tensor, "B K t"] = hypothesis_part()
    log_probs: Float[Tensor, "B K"] = hypothesis_part()
    ended_tokens: Int[Tensor, "B N L"] = source_part()
    ended_log_probs: Float[Tensor, "B N"] = source_part()
    ended_scores: Float[Tensor, "B N"] = source_part()
    limits: Int[Tensor, " B"] = source_part()
    row: Int[Tensor, " B"] = source_part()


class BeamSearch(Search):
    """Keep the `beam_size` likeliest hypotheses; a sentence is done when that many have ended.

    Ended hypotheses are ranked by log p / |y|^length_penalty, the end symbol counted. Done sentences leave the batch.
    """

    def __init__(self, *, beam_size: int, length_penalty: float, max_length: int, max_length_ratio: float) -> None:
        if beam_size < 1:
            raise ValueError(f"search.beam_size must be at least 1, not {beam_size}")
        super().__init__(max_length=max_length, max_length_ratio=max_length_ratio)
        self.beam_size = beam_size
        self.length_penalty = length_penalty

    def __call__(self, model: Model, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> list[list[Hypothesis]]:
        """The `beam_size` best of each sentence, best first."""
        results: list[list[Hypothesis]] = [[] for _ in range(len(source))]
        state = model.start(model.encode(source, mask))
        beams = self._start(mask)
        while len(beams.row):
            log_probs, state = model.step(beams.tokens[..., -1], state)
            at_limit = beams.tokens.shape[-1] >= beams.limits
            beams, parents = self._grow(beams, restrict(log_probs, at_limit))
            done = (beams.ended_scores > NEVER).all(1) | at_limit
            beams, state, parents = self._release(beams, state, parents, done, results)
            state = state.advance(parents)
        return results

    def _start(self, mask: Bool[Tensor, "B S"]) -> Beams:
        sentences, device = len(mask), mask.device
        limits = self.limits(mask)
        nothing = torch.full((sentences, self.beam_size), NEVER, dtype=torch.float64, device=device)
        return Beams(
            tokens=first_tokens(sentences, device).unsqueeze(1),
            log_probs=torch.zeros(sentences, 1, dtype=torch.float64, device=device),
            ended_tokens=torch.full((sentences, self.beam_size, int(limits.max())), EOS, device=device),
            ended_log_probs=nothing,
            ended_scores=nothing,
            limits=limits,
            row=torch.arange(sentences, device=device),
        )

    def _grow(self, beams: Beams, log_probs: Float[Tensor, "B J V"]) -> tuple[Beams, Int[Tensor, "B K"]]:
        """One more token each: hypotheses that end join the ended ones, the best others grow on.

        Twice `beam_size` candidates always hold `beam_size` that do not end, for each hypothesis ends in one way.
        """
        vocab = log_probs.shape[-1]
        count = 2 * self.beam_size
        # Each hypothesis' own best first: a narrow selection from few candidates instead of a wide one from all.
        best, tokens = log_probs.topk(min(count, vocab), -1)
        totals = (beams.log_probs.unsqueeze(-1) + best).flatten(1)
        totals, index = totals.topk(min(count, totals.shape[1]), -1)
        parents = index // best.shape[-1]
        tokens = tokens.flatten(1).gather(1, index)
        ends = tokens == EOS
        beams = self._collect(beams, parents, totals, ends)
        order = torch.where(ends, NEVER, totals).topk(min(self.beam_size, totals.shape[1]), -1).indices
        parents, tokens, totals = (part.gather(1, order) for part in (parents, tokens, totals.masked_fill(ends, NEVER)))
        grown = torch.cat((select_parents(beams.tokens, parents), tokens.unsqueeze(-1)), -1)
        return replace(beams, tokens=grown, log_probs=totals), parents

    def _collect(
        self,
        beams: Beams,
        parents: Int[Tensor, "B c"],
        totals: Float[Tensor, "B c"],
        ends: Bool[Tensor, "B c"],
    ) -> Beams:
        """Merge candidates that end, from among the first `beam_size`, with those that ended before."""
        fresh = ends & (totals > NEVER)
        fresh[:, self.beam_size :] = False
        if not fresh.any():
            return beams
        length = beams.tokens.shape[-1]  # the start symbol is not counted, the end symbol is
        scores = torch.where(fresh, totals / length**self.length_penalty, NEVER)
        all_scores, order = torch.cat((beams.ended_scores, scores), 1).topk(self.beam_size, -1)
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
        """Write down the sentences that are done and drop their rows."""
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
        growing = (~done).nonzero().squeeze(1)
        return beams.keep(growing), state.keep(growing), parents.index_select(0, growing)
