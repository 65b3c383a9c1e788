"""Train a model: seq2seq train [experiment=GROUP/NAME] [part=choice ...] [key=value ...]."""

from typing import NoReturn

import hydra

from seq2seq.config import CONFIGS, TRAIN_KEYS, Composition, Script, TrainSettings, job, launch, load_train


def settings(composed: Composition) -> TrainSettings:
    """The run's settings, its combination of parts found to be legal."""
    from seq2seq.training.preflight import check

    return load_train(composed, checks=[check])


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
@job
def main(composed: Composition) -> None:
    """Train until a limit is reached."""
    checked = settings(composed)
    from seq2seq.training.run import train

    train(checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("train", CONFIGS, TRAIN_KEYS, settings))
