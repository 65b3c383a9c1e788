"""Sampling: from the whole distribution, its top k (Fan et al. 2018, arXiv:1805.04833) or its nucleus, top p
(Holtzman et al. 2020, arXiv:1904.09751)."""

from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search, SearchLimits, first_tokens, topk
from seq2seq.search.draws import streams, uniforms
from seq2seq.types import EOS


class SamplingSearch(Search):
    """Sample `samples` targets per sentence, each token from p^(1/temperature), cut to `top_k` tokens and mass `top_p`.

    Scores are the model's own log-probabilities, before the cut. A sample is a function of `seed`, the sentence's
    number, the sample's number and the step, whatever else is in the batch.
    """

    def __init__(
        self,
        *,
        samples: int,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int,
        **limits: Unpack[SearchLimits],
    ) -> None:
        if samples < 1 or temperature <= 0 or (top_k is not None and top_k < 1):
            raise ValueError("search needs samples >= 1, temperature > 0 and top_k >= 1 or null")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"search.top_p must lie in (0, 1] or be null, not {top_p}")
        super().__init__(**limits)
        self.samples = samples
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed

    @property
    def most(self) -> int:
        """The number of samples."""
        return self.samples

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """`samples` hypotheses of each sentence, most likely first."""
        if numbers is None:
            numbers = torch.arange(len(source), device=source.device)
        random = streams(self.seed, numbers, self.samples)
        state: Any = model.start(model.encode(source, mask))
        state = state.advance(torch.zeros(len(source), self.samples, dtype=torch.long, device=source.device))
        rules, row = self.constraints(mask, prefix), torch.arange(len(source), device=source.device)
        tokens = first_tokens(len(source), source.device).unsqueeze(1).expand(-1, self.samples, 1)
        totals = torch.zeros(len(source), self.samples, dtype=torch.float64, device=source.device)
        results: list[list[Hypothesis]] = [[] for _ in range(len(source))]
        while len(row):
            log_probs, _, state = model.step(tokens[..., -1], state)
            log_probs = rules.restrict(log_probs, tokens)
            ended = tokens[..., -1] == EOS
            drawn = torch.where(ended, EOS, self._draw(log_probs, uniforms(random, tokens.shape[-1])))
            totals = totals + log_probs.gather(-1, drawn.unsqueeze(-1)).squeeze(-1).masked_fill(ended, 0.0)
            tokens = torch.cat((tokens, drawn.unsqueeze(-1)), -1)
            done = (drawn == EOS).all(1)
            if not done.any():
                continue
            for index in done.nonzero().squeeze(1).tolist():
                results[int(row[index])] = _hypotheses(tokens[index], totals[index])
            growing = (~done).nonzero().squeeze(1)
            kept = (part.index_select(0, growing) for part in (tokens, totals, row, random))
            tokens, totals, row, random = kept
            rules, state = rules.keep(growing), state.keep(growing)
        return results

    def _draw(self, log_probs: Float[Tensor, "B K V"], random: Float[Tensor, "B K"]) -> Int[Tensor, "B K"]:
        """One token for each hypothesis, by its random number in (0, 1)."""
        scaled = log_probs / self.temperature
        order = None
        if self.top_k is not None:
            scaled, order = topk(scaled, min(self.top_k, scaled.shape[-1]))
        elif self.top_p is not None:
            scaled, order = scaled.sort(-1, descending=True)
        probabilities = scaled.softmax(-1)
        if self.top_p is not None:
            beyond = probabilities.cumsum(-1) - probabilities >= self.top_p  # the token that crosses the mass is kept
            probabilities = probabilities.masked_fill(beyond, 0.0)
        drawn = _one_of_each(probabilities, random)
        return (drawn if order is None else order.gather(-1, drawn)).squeeze(-1)


def _one_of_each(shares: Float[Tensor, "B K n"], random: Float[Tensor, "B K"]) -> Int[Tensor, "B K 1"]:
    """An index per row, sampled in proportion to `shares`: where the cumulative sum reaches a number in (0, total], so
    that no index with share 0 is sampled. It needs one random number per row; torch.multinomial uses one per
    element."""
    running = shares.cumsum(-1)
    return torch.searchsorted(running, random.unsqueeze(-1).to(shares.dtype) * running[..., -1:])


def _hypotheses(tokens: Int[Tensor, "K t"], totals: Float[Tensor, " K"]) -> list[Hypothesis]:
    """The sampled targets of one sentence, most likely first."""
    found = [
        Hypothesis(ids[1 : ids.index(EOS)], total, total)
        for ids, total in zip(tokens.tolist(), totals.tolist(), strict=True)
    ]
    return sorted(found, key=lambda hypothesis: -hypothesis.score)
