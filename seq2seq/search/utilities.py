"""The utilities of minimum-risk search: how similar a candidate is to a sample, by a metric of single sentences."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.metrics.bleu import Bleu
from seq2seq.metrics.words import Remembered, UnicodeWords
from seq2seq.search.pairwise_bleu import pairwise_bleu
from seq2seq.search.pairwise_chrf import pairwise_chrf
from seq2seq.search.pairwise_rouge import Rows, pairwise_rouge
from seq2seq.tokenizer import Vocabulary
from seq2seq.types import PAD

Unit = Literal["tokens", "words", "stems"]
Type = Literal["rouge1", "rougeL", "chrf", "chrf++", "bleu"]
ROUGE = ("rouge1", "rougeL")
CHRF = {"chrf": 0, "chrf++": 2}  # the longest word n-gram of each
STANDARD = "13a"  # sacreBLEU's tokenizer for most languages
Split = Callable[[str], list[str]]


class Utilities:
    """The mean of several `types`, each from 0 to 1, of each candidate with each sample as its reference.

    rouge1 and rougeL compare tokens, or the `words` or word `stems` of the texts (`unit`); chrf, chrf++ and bleu
    compare texts, which bleu splits by sacreBLEU's tokenizer `tokenize`. For texts they need the vocabulary
    (`reading`). Raises ValueError for wrong types, and for a `unit` or `tokenize` that none of the types has.
    """

    def __init__(self, types: Sequence[Type], unit: Unit, tokenize: str) -> None:
        if not types or len(set(types)) < len(types):
            raise ValueError("search.types: expected one or more of rouge1, rougeL, chrf, chrf++ and bleu, each once")
        given = f"search.types=[{','.join(types)}]"
        self.rouge = [one for one in types if one in ROUGE]
        if unit != "tokens" and not self.rouge:
            raise ValueError(f"search.unit: expected tokens, as only rouge1 and rougeL have units, not {given}")
        if tokenize != STANDARD and "bleu" not in types:
            raise ValueError(f"search.tokenize: expected {STANDARD}, as only bleu has a tokenizer, not {given}")
        self.types = types
        self.unit = unit
        self.bleu_words = _bleu_words(tokenize) if "bleu" in types else None
        self.compares_texts = unit != "tokens" or len(self.rouge) < len(types)
        self.words = None if unit == "tokens" else _words(unit)
        self.vocabulary: Vocabulary | None = None

    def reading(self, vocabulary: Vocabulary) -> Self:
        """The same utilities with this vocabulary, to turn tokens into texts."""
        reading = copy(self)
        reading.vocabulary = vocabulary
        return reading

    def __call__(self, candidates: Rows, samples: Rows) -> Float[Tensor, "C N"]:
        """The similarity of each candidate to each sample. Raises RuntimeError if it lacks the vocabulary."""
        if not self.compares_texts:
            return pairwise_rouge(candidates, samples, self.types)
        ours, theirs = self._texts(candidates, samples)
        if len(self.rouge) == len(self.types):
            return self._rouge(candidates, samples, ours, theirs)
        total = torch.zeros(len(candidates), len(samples), dtype=torch.float64)
        if self.rouge:
            total += len(self.rouge) * self._rouge(candidates, samples, ours, theirs)
        for one in self.types:
            if one in CHRF:
                total += pairwise_chrf(ours, theirs, CHRF[one])
        if self.bleu_words is not None:
            words = {text: tuple(self.bleu_words(text)) for text in dict.fromkeys((*ours, *theirs))}
            total += pairwise_bleu([words[text] for text in ours], [words[text] for text in theirs])
        return total / len(self.types)

    def _texts(self, candidates: Rows, samples: Rows) -> tuple[list[str], list[str]]:
        """The texts of both; each row is decoded once."""
        if self.vocabulary is None:
            key = f"unit={self.unit}" if self.unit != "tokens" else f"types=[{','.join(self.types)}]"
            raise RuntimeError(f"search.{key}: the search was given no vocabulary")
        rows = list(dict.fromkeys(map(tuple, (*candidates, *samples))))
        text = dict(zip(rows, self.vocabulary.decode(rows), strict=True))
        return [text[tuple(row)] for row in candidates], [text[tuple(row)] for row in samples]

    def _rouge(
        self, candidates: Rows, samples: Rows, ours: Sequence[str], theirs: Sequence[str]
    ) -> Float[Tensor, "C N"]:
        """The mean F1 of the ROUGE types, over tokens or over words, each distinct one as a number."""
        if self.words is None:
            return pairwise_rouge(candidates, samples, self.rouge)
        numbers: dict[str, int] = {}
        rows = {
            text: [numbers.setdefault(word, PAD + 1 + len(numbers)) for word in self.words(text)]
            for text in dict.fromkeys((*ours, *theirs))
        }
        return pairwise_rouge([rows[text] for text in ours], [rows[text] for text in theirs], self.rouge)


def _words(unit: Unit) -> Split:
    """The function that splits a text into the units that ROUGE compares."""
    if unit == "words":
        return UnicodeWords().tokenize
    from rouge_score.tokenizers import DefaultTokenizer

    return Remembered(DefaultTokenizer(use_stemmer=True).tokenize).tokenize


def _bleu_words(tokenize: str) -> Split:
    """The function that splits a text as the metric BLEU does."""
    try:
        metric = Bleu(tokenize=tokenize, lowercase=False).metric
    except ValueError as error:  # it names the metric's key
        raise ValueError(str(error).replace("metrics.bleu.tokenize", "search.tokenize")) from error
    return lambda text: metric._preprocess_segment(text).split()
