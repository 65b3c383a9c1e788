"""Sessions of a run that a logger of configs/logger/ records, beside metrics.jsonl."""

import os
import signal
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.config import CONFIGS
from seq2seq.config.reading import Reader
from seq2seq.config.targets import Targets
from seq2seq.config.yaml_files import read_yaml
from seq2seq.logger.base import Recorders, Session
from seq2seq.logger.jsonl import JsonLines
from seq2seq.types import Part

SETTINGS = {"seed": 1, "encoder": "lstm", "tie": None, "deterministic": True, "sizes": [1, 2], "lr": 0.5}


def choice(name: str, **given: Any) -> Part:
    """The part of a file, whose section has the file's name, so that several loggers can be chosen together; with
    other values for the keys `given`."""
    reader = Reader(Targets())
    section = read_yaml(CONFIGS / f"logger/{name}.yaml")
    section[name] |= given
    parts: dict[str, Part] = reader.value("logger", dict[str, Part], section)
    assert reader.problems == []
    assert list(parts) == [name]
    return parts[name]


def write(logger: Part | None, folder: Path, *, after: int, until: int, to_validate: bool = False) -> None:
    """A session that reports every 10 updates and validates every 20."""
    with closing(begun(logger, folder, after, to_validate)) as recorders:
        report(recorders, after=after, until=until, to_validate=to_validate)


def write_and_die(environment: Mapping[str, str], name: str, folder: Path, until: int) -> None:
    """The first session of a run, killed before anything is closed; it is the only one of its process."""
    os.environ.update(environment)
    os.environ.pop("WANDB_SERVICE", None)  # W&B's process of the tests, which would keep the run open
    report(begun(choice(name), folder), until=until)
    os.kill(os.getpid(), signal.SIGKILL)


def begun(logger: Part | None, folder: Path, after: int = 0, to_validate: bool = False) -> Recorders:
    makers = [JsonLines] if logger is None else [JsonLines, logger]
    recorders = Recorders(session=Session(folder, after, to_validate), makers=makers)
    recorders.hyperparameters(SETTINGS, ["valid/bleu"])
    return recorders


def report(recorders: Recorders, *, until: int, after: int = 0, to_validate: bool = False) -> None:
    if to_validate:
        validate(recorders, after)
    for update in range(after + 10, until + 1, 10):
        recorders.scalars(update, train_values(update))
        if update % 20 == 0:
            validate(recorders, update)


def validate(recorders: Recorders, update: int) -> None:
    recorders.text(update, "text/samples", "*ä* &#42;")
    recorders.image(update, "attention/probe_1", np.full((4, 6, 3), update % 256, np.uint8))
    recorders.scalars(update, {"valid/bleu": update / 3})


def train_values(update: int) -> dict[str, float]:
    return {"train/loss": 100.0 / update, "train/nan": float("nan"), "train/lr": 1e-3}


def whole(until: int) -> list[tuple[str, int, float]]:
    """The points of an uninterrupted run."""
    every = range(10, until + 1, 10)
    points = [(tag, update, value) for update in every for tag, value in train_values(update).items()]
    return points + [("valid/bleu", update, update / 3) for update in every if update % 20 == 0]
