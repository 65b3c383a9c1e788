"""Score a run: seq2seq evaluate run=NAME [split=test] [search.beam_size=5] [baseline=NAME]."""

from typing import NoReturn

import hydra

from seq2seq.config import (
    CONFIGS,
    EVALUATE_KEYS,
    Composition,
    EvaluateSettings,
    Script,
    TrainSettings,
    job,
    launch,
    load_run,
)


def settings(composed: Composition) -> tuple[EvaluateSettings, TrainSettings]:
    """This script's settings and those of the run; the search as typed must go with the run's parts."""
    from seq2seq.model.legality import problems

    return load_run(composed, EvaluateSettings, checks=[problems])


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="evaluate")
@job
def main(composed: Composition) -> None:
    """Decode the split, print the table, write eval/."""
    checked = settings(composed)
    from seq2seq.analysis.evaluation.evaluation import evaluate

    evaluate(*checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("evaluate", CONFIGS, EVALUATE_KEYS, settings, of_run=True))
