"""Translate text: seq2seq translate run=NAME [input=FILE] [output=FILE]; stdin to stdout without them."""

from typing import NoReturn

import hydra

from seq2seq.config import (
    CONFIGS,
    TRANSLATE_KEYS,
    Composition,
    Script,
    TrainSettings,
    TranslateSettings,
    job,
    launch,
    load_run,
)


def settings(composed: Composition) -> tuple[TranslateSettings, TrainSettings]:
    """This script's settings and those of the run; the search as typed must go with the run's parts."""
    from seq2seq.model.legality import problems

    return load_run(composed, TranslateSettings, checks=[problems])


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="translate")
@job
def main(composed: Composition) -> None:
    """Answer every line with a line."""
    checked = settings(composed)
    from seq2seq.inference.translation import translate

    translate(*checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("translate", CONFIGS, TRANSLATE_KEYS, settings, of_run=True))
