"""The best checkpoint, the ones that are kept, and their average."""

import errno
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from unit.checkpoint.examples import flip, holds, names, put, tensors

from seq2seq.checkpoint import RunFolder, load, mark_best, prune, save
from seq2seq.checkpoint.read import best_step, evenly_spaced
from seq2seq.checkpoint.write import recover
from seq2seq.errors import CheckpointError, StorageError


def test_best_is_a_relative_link_replaced_atomically(run: RunFolder, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(("every", "left"), [(2, [1, 4, 6, 7]), (3, [1, 3, 6, 7]), (9, [1, 7])])
def test_prune_counts_only_evenly_spaced_checkpoints(run: RunFolder, every: int, left: list[int]) -> None:
    put(run, *range(1, 8))
    mark_best(run, 1)
    prune(run, 2, every=every)
    assert names(run) == [f"step-{step}" for step in left]


@pytest.mark.parametrize(
    ("steps", "wanted", "averaged"),
    [
        ([500, 1000, 1500, 2000, 2500], 5, [500, 1000, 1500, 2000, 2500]),
        ([500, 1000, 1500, 2000, 2500], 3, [1500, 2000, 2500]),
        ([1300, 2000, 2500, 3000, 3500, 4000], 5, [2000, 2500, 3000, 3500, 4000]),  # 1300 is the best
        ([500, 1000, 1200, 1500, 1550, 2000, 2100], 5, [500, 1000, 1500, 2000]),  # 2100 is the last
        ([1000, 1300, 2000, 2300, 3000, 3300], 3, [1300, 2300, 3300]),
        ([100, 200, 350], 5, [200, 350]),
        ([70], 5, [70]),
        ([70, 80, 90], 1, [90]),
    ],
)
def test_averaged_checkpoints_are_evenly_spaced(steps: list[int], wanted: int, averaged: list[int]) -> None:
    assert evenly_spaced(steps, wanted) == averaged


def test_average_leaves_out_best_and_last_between_the_even_steps(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (3, 10, 20, 30, 31):
        save(run, step, {"model": {"w": torch.tensor(float(step))}, "optimizer": {}}, {"step": step})
    found = load(run, "average", average=5)
    assert (found.step, found.state, found.model["w"].item()) == (30, {"step": 30}, 20.0)
    assert "only 3 checkpoints to average, not 5" in caplog.text


def test_average_is_the_mean_of_the_newest_in_float64(run: RunFolder) -> None:
    values = [1e8, 1.0, 1.0, -1e8, 5.0]  # in float32 the ones would be lost
    for step, value in enumerate(values, start=1):
        model = {
            "w": torch.tensor([value, step]),
            "half": torch.tensor([value], dtype=torch.bfloat16),
            "n": torch.tensor(step),
        }
        save(run, step, {"model": model, "optimizer": {"exp_avg/w": torch.ones(2)}}, {"step": step})
    found = load(run, "average", average=4)
    assert (found.step, found.state, [*found.groups]) == (5, {"step": 5}, ["model"])
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


def test_average_of_one_is_that_one_and_too_few_are_a_warning(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "seq2seq")
    put(run, 1, 3)
    assert holds(load(run, "average", average=1), 3)
    assert not caplog.messages
    assert torch.equal(load(run, "average", average=5).model["w"], tensors(2)["w"])
    assert caplog.messages == ["run demo has only 2 checkpoints to average, not 5"]


def test_checkpoints_that_cannot_be_averaged_are_reported(run: RunFolder) -> None:
    put(run, 1, 2)
    save(run, 3, {"model": {"w": torch.ones(2), "n": torch.tensor(1)}, "optimizer": {}}, {})
    with pytest.raises(CheckpointError, match=r"step-2/model.safetensors: w has another shape than in .*step-3"):
        load(run, "average", average=2)
    save(run, 4, {"model": {"w": torch.ones(2)}, "optimizer": {}}, {})
    with pytest.raises(CheckpointError, match=r"step-3/model.safetensors does not have the tensors of .*step-4"):
        load(run, "average", average=2)
    flip(run.checkpoint(4) / "model.safetensors", 600)
    with pytest.raises(CheckpointError, match=r"step-4/model.safetensors is broken"):
        load(run, "average", average=1)


def no_links(self: Path, target: Path) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted", str(self))  # as on vfat


def link_as_text(run: RunFolder) -> None:
    """A copy by a tool that writes links as text."""
    named = str(run.best.readlink())
    run.best.unlink()
    run.best.write_text(named)


def link_followed(run: RunFolder) -> None:
    """A copy by `cp -rL`."""
    there = run.best.resolve()
    run.best.unlink()
    shutil.copytree(there, run.best)


@pytest.mark.parametrize("copied", [link_as_text, link_followed, lambda run: run.best.unlink()])
@pytest.mark.parametrize("links", [True, False])
def test_copied_run_can_be_read_and_resumed(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, copied: Callable[[RunFolder], None], links: bool
) -> None:
    put(run, 1, 2)
    mark_best(run, 1)
    copied(run)
    if run.best.exists():
        assert holds(load(run, "best"), 1)
        assert best_step(run) == 1
    if not links:
        monkeypatch.setattr(Path, "symlink_to", no_links)
    put(run, 3)
    mark_best(run, 2)
    prune(run, 1)
    assert holds(load(run, "best"), 2)
    assert names(run) == ["step-2", "step-3"]
    mark_best(run, 3)
    assert best_step(run) == 3
    assert run.best.is_symlink() is links
    assert sorted(entry.name for entry in run.path.iterdir()) == ["best", "checkpoints"]


def test_killed_while_replacing_a_copied_best(run: RunFolder) -> None:
    put(run, 1, 2)
    mark_best(run, 1)
    link_followed(run)
    run.best.rename(run.path / ".old-best")
    recover(run)
    assert holds(load(run, "best"), 1)
    run.best.rename(run.path / ".old-best")
    run.best.symlink_to("checkpoints/step-2")
    recover(run)
    assert holds(load(run, "best"), 2)
    assert sorted(entry.name for entry in run.path.iterdir()) == ["best", "checkpoints"]


@pytest.mark.parametrize(
    "content", [b"", b"checkpoints/step-9", b"../elsewhere", b"checkpoints/step-1/..", b"\xff\x00", b"x" * 10**6]
)
def test_best_file_without_a_checkpoint_of_the_run_is_ignored(run: RunFolder, content: bytes) -> None:
    put(run, 1)
    run.best.write_bytes(content)
    assert run.best_checkpoint() is None
    with pytest.raises(CheckpointError, match="no checkpoint=best: there are: last, average, step-1"):
        load(run, "best")
