"""Minimum Bayes risk decoding: Kumar and Byrne (2004), NAACL; by samples: Eikema and Aziz (2020), arXiv:2005.10283."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Literal, Self, Unpack

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.metrics.words import Remembered, UnicodeWords
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, SearchLimits
from seq2seq.search.beam import BeamSearch
from seq2seq.search.pairwise_rouge import Rows, pairwise_rouge
from seq2seq.search.sampling import SamplingSearch
from seq2seq.tokenizer import Vocabulary
from seq2seq.types import PAD

Unit = Literal["tokens", "words", "stems"]
Type = Literal["rouge1", "rougeL"]


class MinimumRiskSearch(SamplingSearch):
    """Of several candidates the one with the highest mean similarity to samples of the model.

    `samples` targets are sampled as by SamplingSearch. The candidates are the results of a beam search, if `beam_size`
    > 0, and, unless `candidates` is "beam", the samples. A candidate's score is the mean over the samples, without one
    copy of itself, of the F1 of `types` (or their mean), over tokens, or over the `words` or word `stems` of the texts;
    log_prob is the model's own. For texts it needs the vocabulary (`reading`).
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
        if not types or len(set(types)) < len(types):
            raise ValueError("search.types: expected rouge1, rougeL or both, each once")
        self.samples_compete = candidates == "all"
        self.unit = unit
        self.compares_texts = unit != "tokens"
        self.types = types
        self.words: Callable[[Sequence[int]], list[str]] | None = None
        self.beam = None
        if beam_size:
            self.beam = BeamSearch(beam_size=beam_size, length_penalty=length_penalty, **limits)

    @property
    def most(self) -> int:
        """All candidates."""
        return self.samples * self.samples_compete + (self.beam.most if self.beam else 0)

    def reading(self, vocabulary: Vocabulary) -> Self:
        """The same search with this vocabulary, to split texts into words."""
        if not self.compares_texts:
            return self
        reading = copy(self)
        split = _splitting(self.unit)
        reading.words = lambda tokens: split(vocabulary.decode([tokens])[0])
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
        rows = self._compared([one.tokens for one in (*once, *samples)])
        drawn = {tuple(one.tokens) for one in samples}
        own = torch.tensor([tuple(one.tokens) in drawn for one in once])
        totals = pairwise_rouge(rows[: len(once)], rows[len(once) :], self.types).sum(1) - own.float()
        scores = (totals / (len(samples) - own.long()).clamp(min=1)).tolist()
        scored = [Hypothesis(one.tokens, one.log_prob, score) for one, score in zip(once, scores, strict=True)]
        return sorted(scored, key=lambda one: -one.score)

    def _compared(self, rows: Rows) -> Rows:
        """Tokens, or a number for each distinct word."""
        if not self.compares_texts:
            return rows
        if self.words is None:
            raise RuntimeError(f"search.unit={self.unit}: the search was given no vocabulary")
        numbers: dict[str, int] = {}
        return [[numbers.setdefault(word, PAD + 1 + len(numbers)) for word in self.words(row)] for row in rows]


def _splitting(unit: Unit) -> Callable[[str], list[str]]:
    """The function that splits a text into the units compared."""
    if unit == "words":
        return UnicodeWords().tokenize
    from rouge_score.tokenizers import DefaultTokenizer

    return Remembered(DefaultTokenizer(use_stemmer=True).tokenize).tokenize
