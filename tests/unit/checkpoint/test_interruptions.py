"""A full or failing disk or a kill during a save loses nothing."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.checkpoint.examples import holds, names, put

from seq2seq.checkpoint import RunFolder, latest_intact, load, mark_best, prune, replace_file, save_validated
from seq2seq.errors import StorageError


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit files to `size` bytes: the system refuses longer ones, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("again", [False, True])
def test_full_disk_keeps_older_checkpoints_and_no_partial_files(run: RunFolder, again: bool) -> None:
    put(run, 1, 2)
    with file_size_limit(1000), pytest.raises(StorageError) as caught:
        put(run, 2 if again else 3)
    assert f"cannot save checkpoint {run.checkpoint(2 if again else 3)}: File too large" in str(caught.value)
    assert "What was saved before is intact" in str(caught.value)
    assert caught.value.exit_code == 5
    assert names(run) == ["step-1", "step-2"]
    assert holds(load(run, "last"), 2)


@pytest.mark.parametrize("call", range(1, 6))
def test_failed_flush_leaves_a_checkpoint_validated_or_unchanged(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    put(run, 1)
    weights = (run.checkpoint(1) / "model.safetensors").stat()
    flush, calls = os.fsync, []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    try:
        save_validated(run, 1, {"step": 1, "best": True})
    except StorageError as error:
        assert "No space left on device" in str(error)
    else:
        assert len(calls) < call
    found = load(run, "last")
    assert holds(found, 1)
    assert found.state.get("best", False) == (call >= 4)  # once the manifest is renamed
    assert not [file for file in run.checkpoint(1).iterdir() if file.name.startswith(".")]
    assert (run.checkpoint(1) / "model.safetensors").stat() == weights


@pytest.mark.parametrize("call", range(1, 12))
def test_failed_flush_loses_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    put(run, 1)
    calls = 0
    flush = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    try:
        put(run, 2)
    except StorageError as error:
        assert "No space left on device" in str(error)
    else:
        assert calls < call
    monkeypatch.undo()
    assert not [name for name in names(run) if name.startswith(".")]
    assert holds(load(run, "step-1"), 1)
    assert holds(load(run, "last"), run.steps()[-1])


def test_a_read_only_disk(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 0, 1)

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    for act in (lambda: put(run, 2), lambda: mark_best(run, 1), lambda: prune(run, 1)):
        with pytest.raises(StorageError, match="Read-only file system"):
            act()
    assert holds(load(run, "last"), 1)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from seq2seq.checkpoint import folder, write
moment, run = sys.argv[1], folder.RunFolder(Path(sys.argv[2]))
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def after(first):
    def both(*args, **kwargs):
        first(*args, **kwargs)
        die()
    return both
if moment == "before the rename":
    write._rename = die
elif moment == "in the middle of a file":
    write.save_file = lambda tensors, path, metadata: (path.write_bytes(b"half"), die())
elif moment == "between the two renames":
    Path.rename = after(Path.rename)
elif moment == "before the old one is removed":
    write.discard = die
new = {"w": torch.full((50, 10), 2.0)}
write.save(run, 2, {"model": new, "optimizer": {}}, {"step": 2, "new": True})
"""


@pytest.mark.parametrize(
    ("moment", "new"),
    [
        ("in the middle of a file", False),
        ("before the rename", False),
        ("between the two renames", False),
        ("before the old one is removed", True),
    ],
)
def test_killed_while_saving_a_step_again(run: RunFolder, moment: str, new: bool) -> None:
    put(run, 1, 2)
    done = subprocess.run([sys.executable, "-c", KILLED, moment, str(run.path)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    found = latest_intact(run)
    assert found is not None and holds(found, 2)
    assert ("new" in found.state) is new
    put(run, 3)
    assert names(run) == ["step-1", "step-2", "step-3"]


def test_replace_file_is_atomic(tmp_path: Path) -> None:
    file = tmp_path / "eval" / "test.json"
    replace_file(file, "old ü\n")
    with file_size_limit(10), pytest.raises(StorageError, match=r"cannot write .*test.json: File too large"):
        replace_file(file, "new" * 100)
    assert file.read_bytes() == "old ü\n".encode()
    assert [entry.name for entry in file.parent.iterdir()] == ["test.json"]


def test_two_processes_may_write_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One writes while the other is writing, as two evaluations of a run may do."""
    file, flush, begun = tmp_path / "test.json", os.fsync, False

    def another(descriptor: int) -> None:
        nonlocal begun
        if not begun:
            begun = True
            replace_file(file, "theirs\n" * 100)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", another)
    replace_file(file, "ours\n")
    assert file.read_text() == "ours\n"
    assert list(tmp_path.iterdir()) == [file]
