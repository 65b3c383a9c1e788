"""ROUGE: Lin (2004), as the rouge-score package computes it."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, Score, check_fit, count_references
from seq2seq.metrics.words import UnicodeWords, sentence_a_line


class Rouge(Metric):
    """Mean F1 over documents, 0 to 100, of n-grams (rouge1, rouge2 ...) or common subsequences (rougeL, rougeLsum).

    With several references a document's figure is the best one's (`references: max`, the reference with the highest
    F1, for each name on its own) or their mean (`mean`); both then stand in the details. rougeLsum compares sentence
    by sentence: `newline` takes each line for one, `punctuation` also cuts after .!? and 。！？. The tokenizer
    `english` is rouge-score's own, which sees nothing but a-z and 0-9; `unicode` knows the words of every script.
    """

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

        self.names = tuple(types)
        self.stemmer, self.tokenizer, self.references, self.sentences = stemmer, tokenizer, references, sentences
        words = UnicodeWords() if tokenizer == "unicode" else None
        self.scorer = RougeScorer(list(types), use_stemmer=stemmer, tokenizer=words)

    def score(self, hypotheses: Sequence[str], references: References) -> dict[str, Score]:
        """Mean F1 under each name, with mean precision and recall."""
        table = self._table(hypotheses, references)
        signature = self.signature(references)
        several = any(len(texts) > 1 for texts in references)
        scores = {}
        for name, best, mean in zip(self.names, *table.mean(axis=0), strict=True):
            precision, recall, f1 = best if self.references == "max" else mean
            both = {"max": float(best[2]), "mean": float(mean[2])} if several else {}
            details = {"precision": float(precision), "recall": float(recall), **both}
            scores[name] = Score(float(f1), signature, details=details)
        return scores

    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """Each document's F1 under each name."""
        return self._table(hypotheses, references)[:, 0 if self.references == "max" else 1, :, 2]

    def values(self, total: NDArray[np.float64], sentences: int) -> dict[str, float]:
        """Means of F1."""
        return dict(zip(self.names, (total / sentences).tolist(), strict=True))

    def signature(self, references: References) -> str:
        """Every setting, and rouge-score's version."""
        return (
            f"nrefs:{count_references(references)}|refs:{self.references}|tok:{self.tokenizer}"
            f"|stem:{'yes' if self.stemmer else 'no'}|sents:{self.sentences}|rouge-score:{version('rouge-score')}"
        )

    def _table(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """[document, (best reference, mean over references), name, (precision, recall, F1)], from 0 to 100."""
        check_fit(hypotheses, references)
        rows = []
        for hypothesis, texts in zip(hypotheses, references, strict=True):
            figures = np.array([self._pair(hypothesis, text) for text in texts])  # [reference, name, 3]
            best = figures[figures[:, :, 2].argmax(axis=0), np.arange(len(self.names))]
            rows.append([best, figures.mean(axis=0)])
        return 100.0 * np.array(rows)

    def _pair(self, hypothesis: str, reference: str) -> list[Any]:
        if self.sentences == "punctuation":
            hypothesis, reference = sentence_a_line(hypothesis), sentence_a_line(reference)
        found = self.scorer.score(reference, hypothesis)
        return [found[name] for name in self.names]
