"""Greedy search: the most likely token at each step."""

import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search, first_tokens, topk
from seq2seq.types import EOS


class GreedySearch(Search):
    """One hypothesis per sentence; its score is its log-probability. Finished sentences are removed from the batch.

    Without scores it needs no softmax.
    """

    @property
    def most(self) -> int:
        """One."""
        return 1

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The greedy hypothesis of each sentence."""
        results: list[list[Hypothesis]] = [[] for _ in range(len(source))]
        state = model.start(model.encode(source, mask))
        rules, row = self.constraints(mask, prefix), torch.arange(len(source), device=source.device)
        tokens = first_tokens(len(source), source.device)
        totals = torch.zeros(len(source), dtype=torch.float64, device=source.device)
        while len(row):
            if self.scored:
                scores, _, state = model.step(tokens[:, -1:], state)
            else:
                scores, state = model.rank(tokens[:, -1:], state)
            best, token = (part.flatten() for part in topk(rules.restrict(scores, tokens.unsqueeze(1)), 1))
            totals = totals + best
            tokens = torch.cat((tokens, token.unsqueeze(1)), 1)
            done = token == EOS
            if not done.any():
                continue
            ended = done.nonzero().squeeze(1)
            found = (part.index_select(0, ended).tolist() for part in (row, tokens, totals))
            for index, ids, total in zip(*found, strict=True):
                score = total if self.scored else math.nan
                results[index] = [Hypothesis(ids[1:-1], score, score)]
            growing = (~done).nonzero().squeeze(1)
            tokens, totals, row = (part.index_select(0, growing) for part in (tokens, totals, row))
            rules, state = rules.keep(growing), state.keep(growing)
        return results
