"""Scores of a run's outputs and of the baselines: values, intervals, and the run's difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, Score
from seq2seq.metrics.extracts import USUAL
from seq2seq.metrics.significance import Comparison, add_intervals, compare_rows


@dataclass(frozen=True)
class Scored:
    """One system's scores by name, and the run compared with it; a run is not compared with itself."""

    scores: dict[str, Score] = field(default_factory=dict)
    lead: dict[str, Comparison] = field(default_factory=dict)


def score_systems(
    run: Sequence[str],
    others: Mapping[str, Sequence[str]],
    references: References,
    metrics: Mapping[str, Metric],
    samples: int,
) -> tuple[Scored, dict[str, Scored]]:
    """The run, and the others by name. Intervals are bootstrapped from `samples` draws; 0: there are none.

    Each system's texts are compared with the references once; all samples use the result.
    """
    ours, theirs = Scored(), {name: Scored() for name in others}
    for metric in metrics.values():
        rows = metric.statistics(run, references)
        ours.scores.update(_scores(metric, rows, references, samples))
        for name, texts in others.items():
            other = metric.statistics(texts, references)
            theirs[name].scores.update(_scores(metric, other, references, samples))
            theirs[name].lead.update(compare_rows(metric, rows, other, metric.signature(references)))
    return ours, theirs


def chosen_extracts(baselines: str | list[str], metrics: Mapping[str, Metric]) -> list[str]:
    """The names that the key `baselines` stands for. `auto`: the usual ones if a metric is one of summaries."""
    if baselines == "auto":
        return list(USUAL) if any(metric.of_summaries for metric in metrics.values()) else []
    if baselines == "none":
        return []
    return [baselines] if isinstance(baselines, str) else list(dict.fromkeys(baselines))


def _scores(metric: Metric, rows: NDArray[np.float64], references: References, samples: int) -> dict[str, Score]:
    scores = metric.scores(rows, references)
    return add_intervals(metric, scores, rows, samples=samples) if samples else scores
