"""How far a score can be trusted: bootstrap intervals and the paired bootstrap test, Koehn (2004), as in sacreBLEU.

Sentences are sampled with replacement, and the score is computed again from the sums of their statistics. With the same
seed the samples, the intervals and the p-values are those of sacreBLEU's own test, which keeps all samples in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.metrics.base import Metric, References, Score

SAMPLES, SEED = 1000, 12345  # sacreBLEU's own
EQUAL = 1e-9  # of scores from 0 to 100: smaller differences are rounding


@dataclass(frozen=True)
class Comparison:
    """A system compared with a baseline: the scores, and the probability of such a difference by chance."""

    value: float
    baseline: float
    p_value: float
    signature: str

    @property
    def difference(self) -> float:
        """The system's score minus the baseline's."""
        return self.value - self.baseline

    def plain(self) -> dict[str, Any]:
        """As in eval/*.json."""
        return {
            "score": self.value,
            "baseline": self.baseline,
            "difference": self.difference,
            "p_value": self.p_value,
            "signature": self.signature,
        }


def bootstrap(
    metric: Metric, hypotheses: Sequence[str], references: References, *, samples: int = SAMPLES, seed: int = SEED
) -> dict[str, tuple[float, float]]:
    """The 95% confidence interval (low, high) of each of the metric's scores: the middle of `samples` resampled ones.

    Raises ValueError if hypotheses and references do not fit together, or for fewer than 40 samples.
    """
    rows = metric.statistics(hypotheses, references)
    scores = add_intervals(metric, metric.scores(rows, references), rows, samples=samples, seed=seed)
    return {name: (score.low, score.high) for name, score in scores.items() if score.low is not None is not score.high}


def add_intervals(
    metric: Metric,
    scores: Mapping[str, Score],
    rows: NDArray[np.float64],
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, Score]:
    """The metric's scores of these rows of statistics, with the intervals of `bootstrap`, and those of the details."""
    _check_samples(samples)
    drawn = list(_redrawn(metric, rows, samples, seed))
    found = {}
    for name, score in scores.items():
        keys = ["score", *score.details]
        ordered = np.sort([[figures[name][key] for key in keys] for figures in drawn], axis=0)
        (low, high), *others = ordered[[samples // 40, -1 - samples // 40]].T.tolist()
        intervals = dict(zip(score.details, map(tuple, others), strict=True))
        found[name] = replace(score, low=low, high=high, intervals=intervals)
    return found


def compare(
    metric: Metric,
    hypotheses: Sequence[str],
    baseline: Sequence[str],
    references: References,
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, Comparison]:
    """The two-sided paired bootstrap test of `hypotheses` against `baseline`, for each of the metric's scores.

    Both systems are resampled with the same sentences. The p-value is the share of samples whose difference, in size,
    exceeds the mean of all sampled ones by more than the real difference. Raises ValueError as `bootstrap` does.
    """
    ours, theirs = metric.statistics(hypotheses, references), metric.statistics(baseline, references)
    return compare_rows(metric, ours, theirs, metric.signature(references), samples=samples, seed=seed)


def compare_rows(
    metric: Metric,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    signature: str,
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, Comparison]:
    """`compare`, from the statistics of both systems, whose signature both share."""
    _check_samples(samples)
    values, others = (metric.values(rows.sum(axis=0), len(rows)) for rows in (ours, theirs))
    drawn, drawn_others = (_resampled(metric, rows, samples, seed) for rows in (ours, theirs))
    return {
        name: Comparison(
            value=values[name],
            baseline=others[name],
            p_value=_p_value(drawn[name] - drawn_others[name], values[name] - others[name]),
            signature=f"{signature}|bs:{samples}|seed:{seed}",
        )
        for name in metric.names
    }


def _check_samples(samples: int) -> None:
    if samples < 40:
        raise ValueError(f"samples is {samples}: a 95% interval needs at least 40")


def _p_value(differences: NDArray[np.float64], difference: float) -> float:
    """One is added to both counts, as in any simulation test, so that it is never 0. For equal scores it is 1: if the
    samples do not differ either, the formula would call them significantly different."""
    if abs(difference) < EQUAL:
        return 1.0
    sizes = np.abs(differences)
    beyond = int(np.sum(sizes - sizes.mean() > abs(difference)))
    return (beyond + 1) / (len(sizes) + 1)


def _resampled(
    metric: Metric, statistics: NDArray[np.float64], samples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Each score, `samples` times, over sentences drawn with replacement."""
    drawn = list(_redrawn(metric, statistics, samples, seed))
    return {name: np.array([figures[name]["score"] for figures in drawn]) for name in metric.names}


def _redrawn(
    metric: Metric, statistics: NDArray[np.float64], samples: int, seed: int
) -> Iterator[dict[str, dict[str, float]]]:
    sentences = len(statistics)
    for counts in _draws(sentences, samples, seed):
        yield metric.figures(counts @ statistics, sentences)


def _draws(sentences: int, samples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each sentence occurs, sample by sample."""
    random = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.bincount(random.choice(sentences, size=sentences, replace=True), minlength=sentences)
