"""The commands train and evaluate as functions, for a program of one's own.

They take the keys of the scripts, raise the errors of seq2seq.errors, and leave the process as it was: its handlers of
logs and signals, its standard streams and working directory are not touched, nor is a Hydra of the program's own.
"""

import os
from collections.abc import Mapping

from seq2seq.analysis.evaluation.evaluate_result import EvaluateResult
from seq2seq.analysis.evaluation.evaluation import evaluate as evaluate_run
from seq2seq.commands.evaluate import SCRIPT as EVALUATE
from seq2seq.commands.train import SCRIPT as TRAIN
from seq2seq.config.command_line.from_python import settings_of
from seq2seq.config.extensions import one_call
from seq2seq.runtime.guest import process_as_before
from seq2seq.training.result import TrainResult
from seq2seq.training.run import train as train_run


def train(
    *words: str | Mapping[str, object], config_dir: str | os.PathLike[str] | None = None, **keys: object
) -> TrainResult:
    """Train a run, or continue it, until one of its limits is reached.

    The keys are those of the command `train`: words as in a shell (`"trainer.max_updates=200"`), a mapping
    (`{"trainer.max_updates": 200}`, or nested), or arguments (`run="mine"`). `config_dir` is a folder of choices of
    your own (the option --config-dir). Signals are left to the program: after an interruption the same call continues
    from the last checkpoint.

    Raises the errors of the command: ConfigError (keys, values, a run that began with other settings), DataError,
    CheckpointError, StorageError, NonFiniteLossError, OutOfMemoryError.
    """
    with one_call(), process_as_before():
        return train_run(settings_of(TRAIN, words, keys, config_dir))


def evaluate(
    *words: str | Mapping[str, object], config_dir: str | os.PathLike[str] | None = None, **keys: object
) -> EvaluateResult:
    """Score a run on a split of its data, and write the files of the command into the run's folder.

    The keys are those of the command `evaluate`, given as for `train`: `evaluate(run="mine", split="valid")`.

    Raises the errors of the command: ConfigError, CheckpointError where there is no such run, DataError, StorageError,
    OutOfMemoryError.
    """
    with one_call():
        return evaluate_run(*settings_of(EVALUATE, words, keys, config_dir))
