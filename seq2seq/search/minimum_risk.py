"""Minimum Bayes risk decoding: Kumar and Byrne (2004), NAACL; by samples: Eikema and Aziz (2020), arXiv:2005.10283."""

from collections.abc import Sequence
from copy import copy
from typing import Literal, Self, Unpack

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, SearchLimits
from seq2seq.search.beam import BeamSearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.search.utilities import STANDARD, Type, Unit, Utilities
from seq2seq.tokenizer import Vocabulary


class MinimumRiskSearch(SamplingSearch):
    """Of several candidates the one with the highest mean similarity to samples of the model.

    `samples` targets are sampled as by SamplingSearch. The candidates are the results of a beam search, if `beam_size`
    > 0, and, unless `candidates` is "beam", the samples. A candidate's score is the mean over the samples, without one
    copy of itself, of `types` (or their mean), which Utilities computes with `unit` and `tokenize`; log_prob is the
    model's own. To compare texts it needs the vocabulary (`reading`).
    """

    def __init__(
        self,
        *,
        samples: int,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int,
        beam_size: int,
        length_penalty: float,
        candidates: Literal["all", "beam"],
        unit: Unit = "tokens",
        types: Sequence[Type] = ("rougeL",),
        tokenize: str = STANDARD,
        **limits: Unpack[SearchLimits],
    ) -> None:
        super().__init__(
            samples=samples,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            **limits,
        )
        if beam_size < 0:
            raise ValueError(f"search.beam_size: expected 0 (no beam search) or more, got {beam_size}")
        if candidates == "beam" and not beam_size:
            raise ValueError("search.candidates=beam: there is no beam with search.beam_size=0")
        self.samples_compete = candidates == "all"
        self.utilities = Utilities(types, unit, tokenize)
        self.compares_texts = self.utilities.compares_texts
        self.beam = None
        if beam_size:
            self.beam = BeamSearch(beam_size=beam_size, length_penalty=length_penalty, **limits)

    @property
    def most(self) -> int:
        """All candidates."""
        return self.samples * self.samples_compete + (self.beam.most if self.beam else 0)

    def reading(self, vocabulary: Vocabulary) -> Self:
        """The same search with this vocabulary, to compare texts."""
        if not self.compares_texts:
            return self
        reading = copy(self)
        reading.utilities = self.utilities.reading(vocabulary)
        return reading

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The candidates of each sentence, each once, best first."""
        drawn = super().__call__(model, source, mask, prefix, numbers)
        found = self.beam(model, source, mask, prefix, numbers) if self.beam else [[] for _ in drawn]
        return [
            self._ranked([*beams, *(samples if self.samples_compete else [])], samples)
            for beams, samples in zip(found, drawn, strict=True)
        ]

    def _ranked(self, candidates: Sequence[Hypothesis], samples: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The candidates without duplicates, by their mean similarity to the samples; ties keep their order. A
        candidate that is a sample is not compared with itself."""
        once = list({tuple(one.tokens): one for one in reversed(candidates)}.values())[::-1]
        values = self.utilities([one.tokens for one in once], [one.tokens for one in samples])
        place = {tuple(one.tokens): i for i, one in enumerate(samples)}
        columns = torch.tensor([place.get(tuple(one.tokens), -1) for one in once])
        own = columns >= 0
        with_itself = values.gather(1, columns.clamp(min=0).unsqueeze(1)).squeeze(1) * own
        scores = ((values.sum(1) - with_itself) / (len(samples) - own.long()).clamp(min=1)).tolist()
        scored = [Hypothesis(one.tokens, one.log_prob, score) for one, score in zip(once, scores, strict=True)]
        return sorted(scored, key=lambda one: -one.score)
