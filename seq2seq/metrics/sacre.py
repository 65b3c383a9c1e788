"""What BLEU, chrF and TER share: sacreBLEU computes them, Post (2018), arXiv:1804.08771."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, check_fit, count_references


class SacreMetric(Metric):
    """A metric of sacreBLEU under one name. Its sentence statistics are those that sacreBLEU's own tests resample."""

    decimals = 2

    def __init__(self, name: str, metric: Any) -> None:
        self.names = (name,)
        self.metric = metric

    def details(self, score: Any) -> dict[str, float]:
        """Further numbers of a sacreBLEU score."""
        return {}

    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """Counts of matches and lengths per sentence."""
        check_fit(hypotheses, references)
        self.warn_once(references)
        rows = self.metric._extract_corpus_statistics(list(hypotheses), streams(references))
        return np.array(rows, dtype=np.float64)

    def figures(self, total: NDArray[np.float64], sentences: int) -> dict[str, dict[str, float]]:
        """The corpus score from summed counts, with its details."""
        score = self.metric._compute_score_from_stats(total.tolist())
        return {self.names[0]: {"score": score.score, **self.details(score)}}

    def signature(self, references: References) -> str:
        """As sacreBLEU writes it."""
        count = count_references(references)
        self.metric.num_refs = -1 if count == "var" else int(count)
        return str(self.metric.get_signature())


def streams(references: References) -> list[list[str | None]]:
    """Turn references by sentence into sacreBLEU's documents by reference; None if a sentence has no more."""
    most = max(len(several) for several in references)
    return [[several[n] if n < len(several) else None for several in references] for n in range(most)]
