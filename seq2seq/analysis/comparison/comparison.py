"""Comparison of runs with the same budget: found, checked, measured, and written as a page of Markdown."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from seq2seq.analysis.comparison.differences import check_budgets, differing_words
from seq2seq.analysis.comparison.measured import Measured, measure, why_not_measurable
from seq2seq.analysis.comparison.page import page
from seq2seq.analysis.comparison.rows import Row, make_rows, row_names
from seq2seq.config.command_line.program import program
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import CompareSettings, TrainSettings
from seq2seq.config.stored_run import run_path
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference.line_output import write_text
from seq2seq.streams import visible

log = logging.getLogger(__name__)


def compare_runs(script: CompareSettings) -> None:
    """Write the page to `output` or stdout, and the figures to `json` where that is given.

    Raises CheckpointError with a line for each run that is missing, unfinished or not evaluated, ConfigError if they
    cannot be compared in one table.
    """
    settings = _ready(script)
    budget = check_budgets(settings)
    measured = []
    for run in settings:
        log.info("measuring %s", run.run)
        measured.append(measure(script, run))
    _check_scores(measured)
    names, common = row_names(differing_words(settings))
    rows = make_rows(names, measured, higher_is_better=_higher_is_better(settings[0], script.metric))
    text = page(script, settings, rows, common, budget)
    try:
        if script.output is not None:
            write_text(script.output, text)
        if script.json is not None:
            write_text(script.json, as_json(rows, common, budget))
    finally:
        if script.output is None:
            print(visible(text), end="")


def find_runs(given: str | list[str]) -> list[str]:
    """The runs' names: as given, patterns replaced by all runs that match. Raises CheckpointError, ConfigError."""
    words = [word.strip() for word in given.split(",")] if isinstance(given, str) else given
    found: list[str] = []
    for word in filter(None, words):
        if "*" not in word:
            found.append(word)
            continue
        pattern = run_path(word)
        paths = [path.parent for path in sorted(pattern.parent.glob(f"{pattern.name}/config.yaml"))]
        if not paths:
            raise CheckpointError(f"runs={word}: no run matches {pattern}")
        found += [path.name if path.parent == Path("runs") else str(path) for path in paths]
    if not found:
        raise ConfigError("runs: expected at least one name")
    return list(dict.fromkeys(found))


def _ready(script: CompareSettings) -> list[TrainSettings]:
    """The settings of all runs; each is trained and evaluated."""
    settings, lines = [], []
    for run in find_runs(script.runs):
        try:
            settings.append(load_stored(run, data_root=script.data_root))
        except CheckpointError as error:
            lines.append(f"{error}; to train it: {program('train')} ... run={run}")
            continue
        if line := why_not_measurable(script, settings[-1]):
            lines.append(line)
    if lines:
        raise CheckpointError("\n".join(lines))
    return settings


def as_json(rows: Sequence[Row], common: Sequence[str], budget: dict[str, object]) -> str:
    """The rows, with the figures of each run, for other programs."""
    plain = [
        {"name": row.name, "score": row.score, "range": row.range, "like_best": row.like_best}
        | {"runs": [vars(run) for run in row.runs]}
        for row in rows
    ]
    return json.dumps({"common": common, "budget": budget, "rows": plain}, ensure_ascii=False, indent=2) + "\n"


def _check_scores(measured: Sequence[Measured]) -> None:
    """Raise ConfigError for scores with different signatures or of different texts."""
    first = measured[0]
    for run in measured[1:]:
        if (run.signature, run.sentences) != (first.signature, first.sentences):
            signatures = "; ".join(f"{one.run}: {one.sentences} sentences, {one.signature}" for one in (first, run))
            raise ConfigError(f"scores with different signatures cannot be compared in one table; {signatures}")
    known = [run for run in measured if run.texts is not None]
    for run in known[1:]:
        if run.texts != known[0].texts:
            evaluated = f"{known[0].run} and {run.run} were evaluated on different sources or references"
            again = f"{program('evaluate')} run={run.run} after giving them the same data"
            raise ConfigError(f"scores of different texts cannot be compared in one table: {evaluated}; {again}")
    if known and len(known) < len(measured):
        unknown = ", ".join(run.run for run in measured if run.texts is None)
        log.warning(
            "evaluated by an older version, which did not record the texts; to check that they are the same, "
            "evaluate again: %s",
            unknown,
        )


def _higher_is_better(settings: TrainSettings, metric: str) -> bool:
    metrics = [part() for part in settings.metrics.values()]
    return all(found.higher_is_better(metric) for found in metrics if metric in found.names)
