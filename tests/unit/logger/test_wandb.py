"""Weights & Biases: its files are read to their end, its process may die, its mode decides what is written."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from system.processes import with_descendants
from tracker_records import in_order, noted_id, wandb_points, wandb_records
from tracker_sessions import SETTINGS, begun, choice, report, whole, write

from seq2seq.errors import ConfigError
from seq2seq.logger.base import Recorders, Session
from seq2seq.logger.wandb import NO_KEY, Wandb
from seq2seq.logger.wandb_file import BLOCK, has_ended, history, last_updates

pytest.importorskip("wandb", reason="needs the package wandb")


def file_of(folder: Path) -> Path:
    (file,) = folder.glob("wandb/*/*.wandb")
    return file


def test_a_file_is_read_whole_or_up_to_where_it_was_cut(tmp_path: Path) -> None:
    recorders = Recorders(session=Session(tmp_path), makers=[choice("wandb")])
    for update in range(1, 301):
        recorders.scalars(update, {f"train/{number}": update / 7 for number in range(9)})
    recorders.close()
    content, rows = file_of(tmp_path).read_bytes(), list(history(file_of(tmp_path)))
    assert len(content) > 4 * BLOCK
    theirs = [record["history"]["item"] for record in wandb_records(file_of(tmp_path)) if record["type"] == "history"]
    assert [{name: json.loads(value) for name, value in row.items()} for row in rows] == theirs
    assert [row["update"] for row in theirs] == list(range(1, 301))
    assert last_updates([file_of(tmp_path)], "update")["train/8"] == 300
    assert has_ended(file_of(tmp_path))
    for end in [0, 3, 7, 10, *range(BLOCK - 9, BLOCK + 9), 2 * BLOCK + 99, len(content) - 1]:
        file_of(tmp_path).write_bytes(content[:end])
        read = list(history(file_of(tmp_path)))
        assert read == rows[: len(read)]
        assert len(read) < 300 or end == len(content) - 1
        assert not has_ended(file_of(tmp_path))


def test_settings_and_axis_are_recorded(tmp_path: Path) -> None:
    write(choice("wandb", tags=["a"], group="g"), tmp_path / "run", after=0, until=20)
    records = {record["type"]: record[record["type"]] for record in wandb_records(file_of(tmp_path / "run"))}
    run = records["run"]
    assert (run["project"], run["display_name"], run["run_group"], run["tags"]) == ("seq2seq", "run", "g", ["a"])
    assert records["config"]["update"] == SETTINGS | {"sizes": "[1, 2]"}
    assert (records["metric"]["glob_name"], records["metric"]["step_metric"]) == ("*", "update")


def test_training_goes_on_without_the_process_and_the_next_session_adds_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorders = begun(choice("wandb"), tmp_path)
    report(recorders, until=30)
    (core,) = (pid for pid in with_descendants(os.getpid()) if "wandb-core" in Path(f"/proc/{pid}/comm").read_text())
    os.kill(core, signal.SIGKILL)
    time.sleep(0.3)
    report(recorders, after=30, until=60)
    recorders.close()
    (warning,) = (record.getMessage() for record in caplog.records if record.name == "seq2seq.logger.wandb")
    assert "W&B's process has ended" in warning
    write(choice("wandb"), tmp_path, after=60, until=80)
    assert in_order(wandb_points(tmp_path)) == in_order(whole(80))


def test_a_relative_folder_is_that_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B's process keeps the folder that the program was in when the first run began."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        recorders = Recorders(session=Session(Path("run")), makers=[choice("wandb")])
        recorders.scalars(1, {"train/loss": 1.0})
        recorders.close()
        assert list(history(file_of(tmp_path / name / "run"))) != []


def test_without_its_files_a_run_begins_a_new_record(tmp_path: Path) -> None:
    write(choice("wandb"), tmp_path, after=0, until=20)
    old = noted_id(tmp_path, "wandb")
    shutil.rmtree(tmp_path / "wandb")  # as `wandb clean` does
    write(choice("wandb"), tmp_path, after=20, until=40)
    assert noted_id(tmp_path, "wandb") != old
    assert in_order(wandb_points(tmp_path)) == in_order(whole(40))


def test_disabled_writes_nothing(tmp_path: Path) -> None:
    write(choice("wandb", mode="disabled"), tmp_path, after=0, until=20)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.fixture
def without_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("without_account")
def test_online_needs_an_account(tmp_path: Path) -> None:
    assert Wandb.problem(mode="online") == NO_KEY
    assert Wandb.problem(mode="offline") is None
    with pytest.raises(ConfigError, match="wandb login"):
        begun(choice("wandb", mode="online"), tmp_path / "run")
