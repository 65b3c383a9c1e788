"""Each logger of configs/logger records, resumes, and writes only in the run's folder."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from seq2seq.config import CONFIGS
from seq2seq.config.reading import Reader
from seq2seq.config.targets import Targets
from seq2seq.config.yaml_files import read_yaml
from seq2seq.logger.base import Recorder, Session
from seq2seq.types import Part

CHOICES = sorted(path.stem for path in (CONFIGS / "logger").glob("*.yaml"))


@pytest.fixture(params=CHOICES)
def logger(request: pytest.FixtureRequest) -> Callable[..., Recorder]:
    """The logger of a file; its section has the file's name, so that several loggers can be chosen together."""
    reader = Reader(Targets())
    parts: dict[str, Part] = reader.value(
        "logger", dict[str, Part], read_yaml(CONFIGS / f"logger/{request.param}.yaml")
    )
    assert reader.problems == []
    assert list(parts) == [request.param]
    return parts[request.param]


def test_logger_records_all_reports_and_resumes(logger: Callable[..., Recorder], tmp_path: Path) -> None:
    folder = tmp_path / "runs/one"
    for update, to_validate in ((0, False), (10, False), (10, True)):
        with closing(logger(session=Session(folder, update, to_validate))) as recorder:
            recorder.hyperparameters({"seed": 1, "encoder": "lstm", "tie": None, "sizes": [1, 2]}, ["valid/bleu"])
            recorder.scalars(update + 10, {"train/loss": 1.5, "train/lr": 1e-3, "train/nll": float("nan")})
            recorder.text(update + 10, "valid/samples", "*ä*")
            recorder.image(update + 10, "attention/probe_1", np.zeros((4, 6, 3), np.uint8))
            recorder.scalars(update + 10, {"valid/bleu": 12.5})
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]
    assert list((tmp_path / "runs").iterdir()) == [folder]


def test_scalars_are_stored_when_the_call_returns(logger: Callable[..., Recorder], tmp_path: Path) -> None:
    with closing(logger(session=Session(tmp_path))) as recorder:
        recorder.scalars(10, {"train/loss": 1.5})
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
