"""The record of each experiment tracker, however a run was interrupted, has each point of the run exactly once."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from forks import FORKS
from tracker_records import POINTS, in_order, noted_id
from tracker_sessions import choice, whole, write, write_and_die

from seq2seq.config import CONFIGS
from seq2seq.logger.tracker import Tracker
from seq2seq.types import Part

LOGGERS = [choice(path.stem) for path in sorted((CONFIGS / "logger").glob("*.yaml"))]
TRACKERS = {part.name: part for part in LOGGERS if isinstance(part.target, type) and issubclass(part.target, Tracker)}


@pytest.fixture(params=sorted(TRACKERS))
def tracker(request: pytest.FixtureRequest) -> Part:
    """A logger that is a Tracker; skipped where its package is not installed."""
    pytest.importorskip(request.param, reason=f"needs the package {request.param}")
    return TRACKERS[request.param]


def assert_whole(tracker: Part, folder: Path, until: int, *, media: bool = True) -> None:
    points = POINTS[tracker.name](folder)
    assert in_order(points) == in_order(whole(until))
    images = sorted(update for tag, update, _ in points if tag == "attention/probe_1")
    assert len(set(images)) == len(images)
    if media:
        assert images == list(range(20, until + 1, 20))


def test_every_tracker_has_a_reader() -> None:
    assert set(TRACKERS) == set(POINTS)


@pytest.mark.parametrize("resumed_at", [20, 30, 50])
def test_an_interrupted_run_has_each_point_once(tracker: Part, tmp_path: Path, resumed_at: int) -> None:
    """Interrupted after update 50; the last checkpoint is at `resumed_at`."""
    write(tracker, tmp_path / "run", after=0, until=50)
    write(tracker, tmp_path / "run", after=resumed_at, until=80)
    assert_whole(tracker, tmp_path / "run", 80)


def test_a_repeated_validation_is_recorded_once(tracker: Part, tmp_path: Path) -> None:
    write(tracker, tmp_path / "run", after=0, until=40)
    write(tracker, tmp_path / "run", after=40, until=60, to_validate=True)
    assert_whole(tracker, tmp_path / "run", 60)


@pytest.mark.parametrize("resumed_at", [20, 60])
def test_after_a_kill_the_record_is_completed(tracker: Part, tmp_path: Path, resumed_at: int) -> None:
    """What a tracker had in memory is taken from metrics.jsonl; images are lost."""
    process = FORKS.Process(target=write_and_die, args=(dict(os.environ), tracker.name, tmp_path / "run", 60))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    write(tracker, tmp_path / "run", after=resumed_at, until=80)
    assert_whole(tracker, tmp_path / "run", 80, media=False)


def test_a_run_that_begins_again_has_a_new_record(tracker: Part, tmp_path: Path) -> None:
    write(tracker, tmp_path / "run", after=0, until=40)
    old = noted_id(tmp_path / "run", tracker.name)
    write(tracker, tmp_path / "run", after=0, until=20)
    assert noted_id(tmp_path / "run", tracker.name) != old
    assert_whole(tracker, tmp_path / "run", 20)


def test_a_renamed_run_keeps_its_record_and_a_copy_gets_its_own(tracker: Part, tmp_path: Path) -> None:
    write(tracker, tmp_path / "run", after=0, until=40)
    record = noted_id(tmp_path / "run", tracker.name)
    (tmp_path / "run").rename(tmp_path / "renamed")
    write(tracker, tmp_path / "renamed", after=40, until=50)
    shutil.copytree(tmp_path / "renamed", tmp_path / "copy")
    write(tracker, tmp_path / "copy", after=50, until=60)
    write(tracker, tmp_path / "renamed", after=50, until=80)
    assert noted_id(tmp_path / "renamed", tracker.name) == record != noted_id(tmp_path / "copy", tracker.name)
    assert_whole(tracker, tmp_path / "renamed", 80)
    assert_whole(tracker, tmp_path / "copy", 60, media=False)


def test_a_tracker_that_is_added_gets_the_points_so_far(tracker: Part, tmp_path: Path) -> None:
    write(None, tmp_path / "run", after=0, until=40)
    write(tracker, tmp_path / "run", after=30, until=60)
    assert_whole(tracker, tmp_path / "run", 60, media=False)


def test_nothing_is_printed(tracker: Part, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tracker, tmp_path / "run", after=0, until=20)
    capfd.readouterr()  # MLflow reports the first time that it makes its database
    write(tracker, tmp_path / "run", after=20, until=40)
    assert capfd.readouterr() == ("", "")
