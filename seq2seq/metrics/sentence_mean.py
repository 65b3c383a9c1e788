"""Scores that are the mean of one number per sentence."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, check_fit


class SentenceMean(Metric):
    """A score under one name: the mean of a number per sentence."""

    def __init__(self, name: str) -> None:
        self.names = (name,)

    @abstractmethod
    def of_sentences(self, hypotheses: Sequence[str], references: References) -> Sequence[float]:
        """The number of each sentence, in their order."""

    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """The number of each sentence, in a row of its own."""
        check_fit(hypotheses, references)
        return np.array(self.of_sentences(hypotheses, references), dtype=np.float64).reshape(-1, 1)

    def figures(self, total: NDArray[np.float64], sentences: int) -> dict[str, dict[str, float]]:
        """The mean; there are no details."""
        return {self.names[0]: {"score": float(total[0]) / sentences}}
