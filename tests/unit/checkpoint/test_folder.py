"""Run folders: names and paths, what exists, and the lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.checkpoint import RunFolder
from seq2seq.errors import CheckpointError, StorageError


def test_paths_in_a_run_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "demo")
    assert folder.name == "demo"
    relative = [
        folder.config_file,
        folder.tokenizer_folder,
        folder.metrics_file,
        folder.eval_folder,
        folder.export_folder,
        folder.checkpoint(12),
        folder.best,
    ]
    assert [str(path.relative_to(folder.path)) for path in relative] == [
        "config.yaml",
        "tokenizer",
        "metrics.jsonl",
        "eval",
        "export",
        "checkpoints/step-12",
        "best",
    ]


def test_steps_are_those_of_finished_checkpoints(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.steps() == []
    for name in ("step-100", "step-20", "step-3", ".tmp-step-4", ".old-step-5", "step-x", "notes"):
        (folder.checkpoints / name).mkdir(parents=True)
    (folder.checkpoints / "step-7").write_text("a file")
    assert folder.steps() == [3, 20, 100]


HOLD = """
import sys
from pathlib import Path
from seq2seq.checkpoint.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_refuses_a_second_trainer_and_is_released_by_a_kill(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "demo")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(CheckpointError, match=rf"run demo is being trained by process {other.pid} on "),
            folder.lock(),
        ):
            raise AssertionError("two hold the lock")
    finally:
        other.kill()
        other.wait()
    with folder.lock():
        pass
    with folder.lock():  # it can be taken again
        pass


def test_lock_in_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="cannot write in the run folder"),
        RunFolder(tmp_path / "file" / "run").lock(),
    ):
        pass


@pytest.mark.parametrize("name", ["checkpoints", "tokenizer", "eval", "metrics.jsonl", ".lock"])
def test_a_run_is_not_written_through_links_in_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "one" / name).symlink_to(tmp_path / "kept")
    message = f"one/{name} is a link, and a run writes only inside its own folder"
    with pytest.raises(StorageError, match=message), RunFolder(tmp_path / "one").lock():
        pass
    assert (tmp_path / "kept").read_text() == "kept"


def test_the_run_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").symlink_to("one")
    with RunFolder(tmp_path / "two").lock():
        assert (tmp_path / "one" / ".lock").is_file()


def test_run_that_fails_before_it_begins_leaves_no_files(tmp_path: Path) -> None:
    def fail(folder: RunFolder) -> None:
        with folder.lock():
            (folder.path / "tokenizer").mkdir()
            (folder.path / "tokenizer" / "joint.model").write_text("")
            raise KeyError

    with pytest.raises(KeyError):
        fail(RunFolder(tmp_path / "runs" / "new"))
    assert not list(tmp_path.iterdir())
    own = tmp_path / "runs" / "own"
    own.mkdir(parents=True)
    (own / "notes.txt").write_text("mine")
    with pytest.raises(KeyError):
        fail(RunFolder(own))
    assert [path.name for path in own.iterdir()] == ["notes.txt"]
    with RunFolder(own).lock():
        (own / "config.yaml").write_text("")
    assert {path.name for path in own.iterdir()} == {"notes.txt", "config.yaml", ".lock"}
