"""Checkpoints: whatever fails, disk or process, a whole one remains, and nothing broken is believed."""

import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seq2seq.checkpoint import Checkpoint, RunFolder, latest_intact, load, mark_best, prune, replace_file, save
from seq2seq.errors import CheckpointError, StorageError


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "demo")


def tensors(step: int) -> dict[str, Tensor]:
    return {"w": torch.full((50, 10), float(step)), "n": torch.tensor(step)}


def put(run: RunFolder, *steps: int) -> None:
    for step in steps:
        save(run, step, model=tensors(step), optimizer={"exp_avg/w": tensors(-step)["w"]}, state={"step": step})


def names(run: RunFolder) -> list[str]:
    return sorted(entry.name for entry in run.checkpoints.iterdir())


def holds(found: Checkpoint, step: int) -> bool:
    return found.step == found.state["step"] == step and torch.equal(found.model["w"], tensors(step)["w"])


def test_what_is_saved_is_loaded(run: RunFolder) -> None:
    state = {"epoch": 3, "nested": {"list": [1, 2.5, None, "ü\u2028"]}, "best": 0.1 + 0.2}
    path = save(run, 7, model=tensors(7), optimizer={"exp_avg/w": tensors(1)["w"]}, state=state)
    assert path == run.checkpoint(7)
    found = load(run, "step-7")
    assert (found.step, found.state) == (7, state)
    assert torch.equal(found.model["w"], tensors(7)["w"])
    assert torch.equal(found.optimizer["exp_avg/w"], tensors(1)["w"])
    assert load(run, "step-7", optimizer=False).optimizer == {}


def test_the_folder_holds_tensors_json_and_a_manifest_readable_like_any_file(run: RunFolder) -> None:
    put(run, 1)
    files = sorted(run.checkpoint(1).iterdir())
    assert [file.name for file in files] == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    assert len({file.stat().st_mode for file in files}) == 1
    manifest = json.loads(files[0].read_text())
    assert manifest["step"] == 1
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        file.name: file.stat().st_size for file in files[1:]
    }


def test_names(run: RunFolder) -> None:
    put(run, 10, 9, 200)
    mark_best(run, 10)
    for which, step in [("best", 10), ("last", 200), ("step-9", 9), ("step-200", 200)]:
        assert holds(load(run, which), step)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("lst", "no checkpoint=lst: did you mean last?"),
        ("step-11", "no checkpoint=step-11: did you mean step-10?"),
        ("best", "no checkpoint=best: there are: last, average, step-10$"),
        ("zzz", "no checkpoint=zzz: there are: last"),
    ],
)
def test_a_wrong_name_is_answered_with_what_there_is(run: RunFolder, which: str, message: str) -> None:
    put(run, 10)
    with pytest.raises(CheckpointError, match=message):
        load(run, which)


@pytest.mark.parametrize("which", ["best", "last", "average", "step-1"])
def test_a_run_without_checkpoints(run: RunFolder, which: str) -> None:
    with pytest.raises(CheckpointError, match="run demo has no checkpoint yet"):
        load(run, which)
    assert latest_intact(run) is None


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_any_flipped_bit_is_noticed(run: RunFolder, name: str) -> None:
    put(run, 5)
    file = run.checkpoint(5) / name
    size = file.stat().st_size
    for bit in random.Random(0).sample(range(8 * size), 40):
        flip(file, bit)
        with pytest.raises(CheckpointError, match=f"{name} is broken: its SHA-256 is not the one in manifest.json"):
            load(run, "last")
        flip(file, bit)
    assert holds(load(run, "last"), 5)


def test_a_flipped_bit_in_the_manifest_is_noticed_or_harmless(run: RunFolder) -> None:
    put(run, 5)
    file = run.checkpoint(5) / "manifest.json"
    for bit in range(0, 8 * file.stat().st_size, 11):  # every bit of a byte comes up
        flip(file, bit)
        try:
            assert holds(load(run, "last"), 5)
        except CheckpointError as error:
            assert "manifest.json" in str(error) or "is broken" in str(error)
        flip(file, bit)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["missing", "cut", "empty"])
def test_a_missing_or_short_file_is_named(run: RunFolder, name: str, harm: str) -> None:
    put(run, 5)
    file = run.checkpoint(5) / name
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] if harm == "cut" and name != "manifest.json" else b"")
    with pytest.raises(CheckpointError, match=rf"step-5/{name} (cannot be read: No such file|is broken)"):
        load(run, "last")


def test_a_renamed_checkpoint_is_not_another_step(run: RunFolder) -> None:
    put(run, 5)
    run.checkpoint(5).rename(run.checkpoint(6))
    with pytest.raises(CheckpointError, match=r"step-6/manifest.json is of step 5"):
        load(run, "last")


def test_a_manifest_of_a_later_format_says_so(run: RunFolder) -> None:
    put(run, 5)
    file = run.checkpoint(5) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    with pytest.raises(CheckpointError, match="is of format 2; this version of seq2seq reads 1"):
        load(run, "last")


def test_continuing_passes_over_broken_ones_with_a_warning(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    put(run, 1, 2, 3)
    flip(run.checkpoint(3) / "optimizer.safetensors", 4000)
    (run.checkpoint(2) / "manifest.json").unlink()
    found = latest_intact(run)
    assert found is not None and holds(found, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "step-3/optimizer.safetensors is broken" in caplog.messages[0]
    put(run, 3)  # the broken one is replaced when training reaches it again
    assert holds(load(run, "last"), 3)


def test_nothing_whole_is_an_error_and_not_a_fresh_start(run: RunFolder) -> None:
    put(run, 1, 2)
    for step in (1, 2):
        (run.checkpoint(step) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"(?s)no checkpoint of run demo is whole:.*step-2/state.*step-1/state"):
        latest_intact(run)


def test_a_step_saved_again_is_replaced(run: RunFolder) -> None:
    put(run, 5)
    save(run, 5, model=tensors(6), optimizer={}, state={"new": True})
    assert torch.equal(load(run, "step-5").model["w"], tensors(6)["w"])
    assert names(run) == ["step-5"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A disk on which no file can grow past `size`: the system itself refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_leaves_older_checkpoints_and_no_rubbish(run: RunFolder, again: bool) -> None:
    put(run, 1, 2)
    with file_size_limit(1000), pytest.raises(StorageError) as caught:
        put(run, 2 if again else 3)
    assert f"cannot save checkpoint {run.checkpoint(2 if again else 3)}: File too large" in str(caught.value)
    assert "What was saved before is untouched" in str(caught.value)
    assert caught.value.exit_code == 5
    assert names(run) == ["step-1", "step-2"]
    assert holds(load(run, "last"), 2)


@pytest.mark.parametrize("call", range(1, 12))
def test_whichever_flush_fails_nothing_is_lost(run: RunFolder, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
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
    write._swap_in = die
elif moment == "in the middle of a file":
    write.save_file = lambda tensors, path, metadata: (path.write_bytes(b"half"), die())
elif moment == "between the two renames":
    Path.rename = after(Path.rename)
elif moment == "before the old one is removed":
    write.discard = die
new = {"w": torch.full((50, 10), 2.0)}
write.save(run, 2, model=new, optimizer={}, state={"step": 2, "new": True})
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


def test_best_is_a_relative_link_swapped_whole(run: RunFolder, tmp_path: Path) -> None:
    put(run, 1, 2)
    mark_best(run, 1)
    (run.path / ".tmp-best").symlink_to("left by a killed process")
    mark_best(run, 2)
    assert run.best.readlink() == Path("checkpoints/step-2")
    assert sorted(entry.name for entry in run.path.iterdir()) == ["best", "checkpoints"]
    run.path.rename(tmp_path / "moved")
    assert holds(load(RunFolder(tmp_path / "moved"), "best"), 2)


def test_a_failed_swap_keeps_the_old_best(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1, 2)
    mark_best(run, 1)

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"cannot mark checkpoint .*step-2 as the best: No space"):
        mark_best(run, 2)
    assert holds(load(run, "best"), 1)
    assert not (run.path / ".tmp-best").is_symlink()


@pytest.mark.parametrize(
    ("best", "keep", "left"),
    [(None, 2, [4, 5]), (2, 2, [2, 4, 5]), (5, 2, [4, 5]), (1, 1, [1, 5]), (3, 9, [1, 2, 3, 4, 5])],
)
def test_prune_keeps_the_newest_and_the_best(run: RunFolder, best: int | None, keep: int, left: list[int]) -> None:
    put(run, 1, 2, 3, 4, 5)
    if best:
        mark_best(run, best)
    prune(run, keep)
    assert names(run) == [f"step-{step}" for step in left]
    with pytest.raises(ValueError, match="keep_last is 0"):
        prune(run, 0)


def test_average_is_the_mean_of_the_newest_in_float64(run: RunFolder) -> None:
    values = [1e8, 1.0, 1.0, -1e8, 5.0]  # in float32 the ones would be lost
    for step, value in enumerate(values, start=1):
        model = {
            "w": torch.tensor([value, step]),
            "half": torch.tensor([value], dtype=torch.bfloat16),
            "n": torch.tensor(step),
        }
        save(run, step, model=model, optimizer={"exp_avg/w": torch.ones(2)}, state={"step": step})
    found = load(run, "average", average=4)
    assert (found.step, found.state, found.optimizer) == (5, {"step": 5}, {})
    assert found.model["n"] == 5
    assert found.model["w"].tolist() == pytest.approx([sum(values[1:]) / 4, 3.5], rel=1e-7)
    found = load(run, "average", average=5)
    assert found.model["w"].tolist() == pytest.approx([7 / 5, 3.0], rel=1e-7)
    assert {name: tensor.dtype for name, tensor in found.model.items()} == {
        "w": torch.float32,
        "half": torch.bfloat16,
        "n": torch.int64,
    }
    with pytest.raises(ValueError, match="average is 0"):
        load(run, "average", average=0)


def test_the_average_of_one_is_that_one_and_of_fewer_warns(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    put(run, 1, 3)
    assert holds(load(run, "average", average=1), 3)
    assert not caplog.messages
    assert torch.equal(load(run, "average", average=5).model["w"], tensors(2)["w"])
    assert caplog.messages == ["run demo has only 2 checkpoints to average, not 5"]


def test_what_cannot_be_averaged_is_named(run: RunFolder) -> None:
    put(run, 1, 2)
    save(run, 3, model={"w": torch.ones(2), "n": torch.tensor(1)}, optimizer={}, state={})
    with pytest.raises(CheckpointError, match=r"step-2/model.safetensors: w has another shape than in .*step-3"):
        load(run, "average", average=2)
    save(run, 4, model={"w": torch.ones(2)}, optimizer={}, state={})
    with pytest.raises(CheckpointError, match=r"step-3/model.safetensors holds other tensors than .*step-4"):
        load(run, "average", average=2)
    flip(run.checkpoint(4) / "model.safetensors", 600)
    with pytest.raises(CheckpointError, match=r"step-4/model.safetensors is broken"):
        load(run, "average", average=1)


def test_replace_file_is_all_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "eval" / "test.json"
    replace_file(file, "old ü\n")
    with file_size_limit(10), pytest.raises(StorageError, match=r"cannot write .*test.json: File too large"):
        replace_file(file, "new" * 100)
    assert file.read_bytes() == "old ü\n".encode()
    assert [entry.name for entry in file.parent.iterdir()] == ["test.json"]
