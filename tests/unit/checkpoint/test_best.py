"""The best checkpoint, and the ones that are kept."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.checkpoint.examples import holds, names, put, validate

from seq2seq.checkpoint import RunFolder, load, mark_best, prune
from seq2seq.checkpoint.read import best_step
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
    ("scores", "keep_best", "every", "left"),
    [
        ({1: 3, 2: 5, 3: 4, 4: 1, 5: 2}, 3, 1, [1, 2, 3, 6, 7]),
        ({1: 3, 2: 5, 3: 4, 4: 1, 5: 2}, 9, 1, [1, 2, 3, 4, 5, 6, 7]),
        ({1: 3, 2: 5, 3: 4, 4: 1, 5: 2}, 1, 1, [2, 6, 7]),
        ({1: 3, 2: 5, 6: 4}, 2, 1, [2, 6, 7]),  # 6 is one of the newest, too
        ({1: 3, 2: 3, 3: 3, 4: 3}, 2, 1, [1, 2, 6, 7]),  # of equal ones the earlier
        ({2: 5, 5: 4}, 2, 3, [2, 3, 5, 6, 7]),
        ({2: 5}, 4, 1, [2, 6, 7]),
    ],
)
def test_prune_keeps_the_best_validated(
    run: RunFolder, scores: dict[int, int], keep_best: int, every: int, left: list[int]
) -> None:
    put(run, *range(1, 8))
    for step, score in scores.items():
        validate(run, step, score)
    mark_best(run, max(scores, key=scores.__getitem__))
    prune(run, 2, keep_best=keep_best, every=every)
    assert names(run) == [f"step-{step}" for step in left]


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
