"""What an evaluation returns to the program that called it, and the files that it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.analysis.evaluation.results import write_result
from seq2seq.analysis.evaluation.systems import Scored
from seq2seq.analysis.evaluation.text_statistics import Statistics
from seq2seq.metrics.base import Score


@dataclass(frozen=True)
class EvaluateResult:
    """The scores of a run on one split of its data.

    `run` is its folder, `checkpoint` what was evaluated: `step-N`, or the kind of average. `scores` are those of
    `hypotheses`, the texts in the order of the split, by the metric's name: `scores["bleu"].value`, `.signature`, and
    `.low` and `.high` if there is a confidence interval. `baselines` are scored on the same texts, with the run's lead
    over each; `baseline` is the run of that key. `statistics` are those of summaries. `seconds` are those of the
    search. `path` is the JSON file, `content` what it contains, `table` what the command prints.
    """

    run: Path
    split: str
    checkpoint: str
    scores: dict[str, Score]
    hypotheses: list[str]
    baselines: dict[str, Scored]
    statistics: dict[str, Statistics]
    seconds: float
    path: Path
    content: dict[str, Any]
    table: str

    def write(self) -> Path:
        """Write the JSON file and those of the hypotheses; its path. Raises StorageError."""
        return write_result(self.path.parent, self.path.stem, self.hypotheses, self.content)
