"""The interface of metrics: sums over sentences that determine the corpus score, so that resampling is cheap."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.types import Component

log = logging.getLogger(__name__)

References = Sequence[Sequence[str]]  # for each sentence, its references: at least one, not all equally many


@dataclass(frozen=True)
class Score:
    """A figure, the settings it was computed with, and where known its 95% confidence interval.

    `details` are further numbers such as precision and recall, and `intervals` their (low, high).
    """

    value: float
    signature: str
    low: float | None = None
    high: float | None = None
    details: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As in eval/*.json: `score`, `signature`, `low` and `high` where known; then each detail the same way:
        `precision`, `precision_low`, `precision_high`."""
        plain: dict[str, Any] = {"score": self.value, "signature": self.signature}
        if self.low is not None:
            plain |= {"low": self.low, "high": self.high}
        for name, value in self.details.items():
            plain[name] = value
            if name in self.intervals:
                plain[f"{name}_low"], plain[f"{name}_high"] = self.intervals[name]
        return plain


class Metric(Component):
    """Scores a corpus under one or several names. Texts are plain and detokenised, a sentence or document each.

    `of_summaries`: the scored texts are summaries of a longer source, so baselines from the source
    (metrics/extracts.py) and copying statistics (metrics/copying.py) are also reported. `decimals`: as many as are
    shown of a score; None: all of them.
    """

    names: tuple[str, ...]
    of_summaries: ClassVar[bool] = False
    decimals: ClassVar[int | None] = None
    warned = False  # whether `warn_once` was called

    def for_sources(self, sources: Sequence[str]) -> Self:
        """The metric for hypotheses of these sources; most metrics do not look at them."""
        return self

    def check(self, references: References) -> None:
        """Raise ConfigError for what would make scores against these references fail, before anything is decoded."""

    def warnings(self, references: References) -> list[str]:
        """A line for each reason why scores against these references would be misleading, with what to type."""
        return []

    def warn_once(self, references: References) -> None:
        """Log the `warnings` at the first call."""
        if not self.warned:
            self.warned = True
            for line in self.warnings(references):
                log.warning("%s", line)

    def higher_is_better(self, name: str) -> bool:
        """Whether the larger of two scores called `name` is the better one."""
        return True

    def score(self, hypotheses: Sequence[str], references: References) -> dict[str, Score]:
        """The corpus score under each of `names`. Raises ValueError if the two do not fit together."""
        return self.scores(self.statistics(hypotheses, references), references)

    def scores(self, rows: NDArray[np.float64], references: References) -> dict[str, Score]:
        """The score under each of `names`, from the statistics of all sentences, one row each."""
        signature = self.signature(references)
        scores = {}
        for name, figures in self.figures(rows.sum(axis=0), len(rows)).items():
            details = {key: value for key, value in figures.items() if key != "score"}
            scores[name] = Score(figures["score"], signature, details=details)
        return scores

    def values(self, total: NDArray[np.float64], sentences: int) -> dict[str, float]:
        """The score alone under each of `names`, from the statistics of `sentences` sentences summed up."""
        return {name: figures["score"] for name, figures in self.figures(total, sentences).items()}

    @abstractmethod
    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """A row of numbers per sentence; the score of any set of sentences is a function of their sum."""

    @abstractmethod
    def figures(self, total: NDArray[np.float64], sentences: int) -> dict[str, dict[str, float]]:
        """Under each of `names` its `score` and the details, from the statistics of `sentences` sentences summed up."""

    @abstractmethod
    def signature(self, references: References) -> str:
        """The settings that a score against these references depends on, as 'key:value|key:value'."""


def check_fit(hypotheses: Sequence[str], references: References) -> None:
    """Raise ValueError unless there is something to score and at least one reference for each hypothesis."""
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses cannot be scored against the references of {len(references)}")
    if not hypotheses:
        raise ValueError("there is nothing to score: no hypotheses")
    for number, several in enumerate(references, start=1):
        if not several:
            raise ValueError(f"sentence {number} has no reference to score against")


def without_text(references: References) -> int:
    """The number of sentences with only empty references: every hypothesis scores 0 against them."""
    return sum(not any(text.strip() for text in several) for several in references)


def count_references(references: References) -> str:
    """The number of references per sentence, as in signatures: a number, or 'var' if it differs."""
    counts = {len(several) for several in references}
    return str(counts.pop()) if len(counts) == 1 else "var"
