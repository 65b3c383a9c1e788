"""Each logger of configs/logger records, resumes, and writes only in the run's folder."""

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tracker_records import POINTS
from tracker_sessions import choice

from seq2seq.config import CONFIGS
from seq2seq.logger.base import Session
from seq2seq.logger.tracker import Tracker
from seq2seq.types import Part

CHOICES = sorted(path.stem for path in (CONFIGS / "logger").glob("*.yaml"))
SLOW = [name for name in CHOICES if name in POINTS]  # packages that take seconds to begin


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CHOICES])
def logger(request: pytest.FixtureRequest) -> Part:
    """The logger of a file; skipped where its package is not installed."""
    part = choice(request.param)
    if isinstance(part.target, type) and issubclass(part.target, Tracker):
        pytest.importorskip(part.target.package, reason=f"needs the package {part.target.package}")
    return part


def test_logger_records_all_reports_and_resumes(logger: Part, tmp_path: Path) -> None:
    """In the run's folder alone; the databases of trackers are elsewhere (tracker_records)."""
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


def test_scalars_are_stored_when_the_call_returns(logger: Part, tmp_path: Path) -> None:
    """Trackers write more when they are closed, but no points; W&B's process has written them within a second."""
    with closing(logger(session=Session(tmp_path))) as recorder:
        recorder.scalars(10, {"train/loss": 1.5})
        if logger.name == "wandb":
            time.sleep(1.5)
        before = stored(logger, tmp_path)
    assert stored(logger, tmp_path) == before


def stored(logger: Part, folder: Path) -> object:
    """The points of a tracker's record, or the content of a logger's files."""
    if logger.name in POINTS:
        points = POINTS[logger.name](folder)
        assert points == [("train/loss", 10, 1.5)]
        return points
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
