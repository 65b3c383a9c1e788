"""Score given pairs: seq2seq score run=NAME source=FILE target=FILE [output=FILE]; or a split of its data."""

from typing import NoReturn

import hydra

from seq2seq.config import (
    CONFIGS,
    SCORE_KEYS,
    Composition,
    ScoreSettings,
    Script,
    TrainSettings,
    job,
    launch,
    load_run,
)


def settings(composed: Composition) -> tuple[ScoreSettings, TrainSettings]:
    """This script's settings and those of the run."""
    return load_run(composed, ScoreSettings)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="score")
@job
def main(composed: Composition) -> None:
    """Force the targets through the model; a line for every pair."""
    checked = settings(composed)
    from seq2seq.inference.scoring import score

    score(*checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("score", CONFIGS, SCORE_KEYS, settings, of_run=True))
