"""The rows of a comparison: one per setting, with its seeds together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from seq2seq.analysis.comparison.measured import Measured
from seq2seq.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """The runs of one setting, which differ in their seed alone. `like_best`: their range overlaps the best row's, so
    that they do not differ significantly."""

    name: str
    runs: tuple[Measured, ...]
    like_best: bool = False

    def values(self, figure: str) -> list[float]:
        """A figure of each seed, by its name in Measured; without those not measured."""
        return [value for run in self.runs if (value := getattr(run, figure)) is not None]

    @property
    def score(self) -> float:
        """The mean over the seeds."""
        return fmean(self.values("score"))

    @property
    def range(self) -> tuple[float, float]:
        """From the lowest to the highest end of the seeds' 95% intervals: test sentences and seeds both count."""
        return min(self.values("low")), max(self.values("high"))

    @property
    def parameters(self) -> int:
        """The same for all seeds."""
        return self.runs[0].parameters


def row_names(differing: Sequence[dict[str, str]]) -> tuple[list[str], list[str]]:
    """For each run the name of its row, from the words in which it differs, the seed left out; and the words that most
    rows share, which the names leave out too."""
    unseeded = [{key: word for key, word in words.items() if key != "seed"} for words in differing]
    rows = [dict(items) for items in dict.fromkeys(tuple(words.items()) for words in unseeded)]
    every = [word for words in rows for word in words.values()]
    common = [word for word in dict.fromkeys(every) if every.count(word) > len(rows) / 2]
    short = [[word for word in words.values() if word not in common] for words in unseeded]
    if not all(short):
        short, common = [list(words.values()) for words in unseeded], []
    return [" ".join(words) or "all runs" for words in short], common


def make_rows(names: Sequence[str], measured: Sequence[Measured], *, higher_is_better: bool) -> list[Row]:
    """Rows by their mean score, best first. Raises ConfigError where two runs are the same in everything."""
    grouped: dict[str, list[Measured]] = {}
    for name, run in zip(names, measured, strict=True):
        for other in grouped.setdefault(name, []):
            if other.seed == run.seed:
                raise ConfigError(f"runs {other.run} and {run.run} have the same settings and seed: leave one out")
        grouped[name].append(run)
    rows = [Row(name, tuple(sorted(runs, key=lambda run: run.seed))) for name, runs in grouped.items()]
    rows.sort(key=lambda row: row.score, reverse=higher_is_better)
    low, high = rows[0].range
    marked = [Row(row.name, row.runs, row.range[0] <= high and row.range[1] >= low) for row in rows[1:]]
    return [rows[0], *marked]
