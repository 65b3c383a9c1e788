"""ROUGE: Lin (2004), as the rouge-score package computes it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, Score, check_fit, count_references
from seq2seq.metrics.words import Remembered, UnicodeWords, mostly_beyond_a_to_z, sentence_a_line


class Rouge(Metric):
    """Mean F1 over documents, 0 to 100, of n-grams (rouge1, rouge2 ...) or common subsequences (rougeL, rougeLsum).

    With several references a document's figure is the best one's (`references: max`, the reference with the highest F1,
    for each name on its own) or their mean (`mean`); both are then in the details. rougeLsum compares sentence by
    sentence: `newline` takes each line for one, `punctuation` also cuts after .!? and 。！？. The tokenizer `english`
    is rouge-score's own, which keeps only a-z and 0-9 (a warning is logged if references have other letters);
    `unicode` splits words of every script.
    """

    of_summaries = True
    decimals = 2

    def __init__(
        self,
        *,
        types: list[str],
        tokenizer: Literal["english", "unicode"],
        stemmer: bool,
        references: Literal["max", "mean"],
        sentences: Literal["newline", "punctuation"],
    ) -> None:
        if wrong := [name for name in types if not re.fullmatch(r"rouge([1-9]|L|Lsum)", name)]:
            raise ValueError(f"metrics.rouge.types: expected rouge1 to rouge9, rougeL or rougeLsum, got {wrong[0]}")
        if not types or len(set(types)) != len(types):
            raise ValueError("metrics.rouge.types: expected at least one, and each once")
        if stemmer and tokenizer == "unicode":
            raise ValueError("metrics.rouge.stemmer: it is for English and needs tokenizer: english")
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        self.names = tuple(types)
        self.stemmer, self.tokenizer, self.references, self.sentences = stemmer, tokenizer, references, sentences
        words = UnicodeWords() if tokenizer == "unicode" else DefaultTokenizer(stemmer)
        self.scorer = RougeScorer(list(types), tokenizer=Remembered(words.tokenize))

    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """Each document's precision, recall and F1, 0 to 100, under each name: with its best reference, then the means
        over its references; 6 numbers a name."""
        check_fit(hypotheses, references)
        self.warn_once(references)
        rows = []
        for hypothesis, texts in zip(hypotheses, references, strict=True):
            found = np.array([self._pair(hypothesis, text) for text in texts])  # [reference, name, 3]
            best = found[found[:, :, 2].argmax(axis=0), np.arange(len(self.names))]
            rows.append(np.stack([best, found.mean(axis=0)]).ravel())
        return 100.0 * np.array(rows)

    def figures(self, total: NDArray[np.float64], sentences: int) -> dict[str, dict[str, float]]:
        """Mean F1 under each name, mean precision and recall, and the F1 of both ways with several references."""
        both = (total / sentences).reshape(2, len(self.names), 3).tolist()
        found = {}
        for name, best, mean in zip(self.names, *both, strict=True):
            precision, recall, f1 = best if self.references == "max" else mean
            found[name] = {"score": f1, "precision": precision, "recall": recall, "max": best[2], "mean": mean[2]}
        return found

    def scores(self, rows: NDArray[np.float64], references: References) -> dict[str, Score]:
        """Mean F1 under each name; `max` and `mean` are among the details where a document has several references."""
        found = super().scores(rows, references)
        if any(len(texts) > 1 for texts in references):
            return found
        kept = ("precision", "recall")
        return {
            name: replace(score, details={key: score.details[key] for key in kept}) for name, score in found.items()
        }

    def signature(self, references: References) -> str:
        """Every setting, and rouge-score's version."""
        return (
            f"nrefs:{count_references(references)}|refs:{self.references}|tok:{self.tokenizer}"
            f"|stem:{'yes' if self.stemmer else 'no'}|sents:{self.sentences}|rouge-score:{version('rouge-score')}"
        )

    def warnings(self, references: References) -> list[str]:
        """References that the tokenizer `english` drops, so that all scores are near 0."""
        if self.tokenizer == "english" and mostly_beyond_a_to_z(text for texts in references for text in texts):
            return [
                "most letters of the references are outside a-z, the only ones that tokenizer: english keeps, so "
                "ROUGE ignores them: set metrics.rouge.tokenizer=unicode metrics.rouge.stemmer=false"
            ]
        return []

    def _pair(self, hypothesis: str, reference: str) -> list[Any]:
        if self.sentences == "punctuation":
            hypothesis, reference = sentence_a_line(hypothesis), sentence_a_line(reference)
        found = self.scorer.score(reference, hypothesis)
        return [found[name] for name in self.names]
