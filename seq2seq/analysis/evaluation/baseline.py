"""Another run's outputs for the same texts, for comparison: from its evaluations, or an error with advice."""

from seq2seq.analysis.comparison.differences import as_text
from seq2seq.analysis.evaluation.results import TEXTS, Result, split_results
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.command_line.program import command_line
from seq2seq.config.schema import EvaluateSettings, TrainSettings
from seq2seq.config.stored_run import flatten, stored_config
from seq2seq.errors import CheckpointError


def baseline_texts(script: EvaluateSettings, settings: TrainSettings, texts: str) -> list[str]:
    """The hypotheses of the run `script.baseline`, with its own settings, for the sources and references whose hash is
    `texts`. Raises CheckpointError, with the command to type, if it was not evaluated on them."""
    stored_config(str(script.baseline), "baseline")  # or there is no such run
    folder = RunFolder.of(str(script.baseline)).eval_folder
    found = [result for result in split_results(folder, script.split) if result.changes_only("data", "metrics")]
    for result in found:
        if result.content.get(TEXTS) == texts:
            hypotheses = result.hypotheses()
            if hypotheses is not None:
                return hypotheses
    raise CheckpointError(f"{_why_not(script, found, texts)}: first run {_evaluation(script, settings)}")


def _why_not(script: EvaluateSettings, found: list[Result], texts: str) -> str:
    path = RunFolder.of(str(script.baseline)).eval_folder / f"{script.split}.json"
    if any(result.content.get(TEXTS) == texts for result in found):
        return f"baseline={script.baseline}: its hypotheses next to {path} have changed since they were scored"
    if found:
        return f"baseline={script.baseline} was evaluated on other texts than these: see {path}"
    if path.is_file():
        return f"baseline={script.baseline}: {path} does not record its texts (an older version wrote it)"
    return f"baseline={script.baseline} has no {path}"


def _evaluation(script: EvaluateSettings, settings: TrainSettings) -> str:
    """The command that evaluates the baseline on the texts of this evaluation."""
    data = flatten({"data": settings.plain["data"]})
    words = [f"data={settings.choices['data']}"] if "data" in script.changed else []
    words += [f"{key}={as_text(data[key])}" for key in script.changed if key in data and "._" not in key]
    return command_line("evaluate", [f"run={script.baseline}", f"split={script.split}", *words])
