"""A save that fails ends a run only if the two before it have failed, too; nothing that was saved is lost."""

import errno
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from small_runs import same, settings, weights

from seq2seq.checkpoint import RunFolder, load
from seq2seq.errors import StorageError, storage_failure
from seq2seq.training import saving
from seq2seq.training.run import train

pytestmark = [pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")]
EVERY = ("trainer.save_every=1", "trainer.validate_every=4", "trainer.max_updates=8", "trainer.keep_last=8")


def failing(monkeypatch: pytest.MonkeyPatch, attempts: Collection[int], name: str = "save") -> list[int]:
    """From now on the calls of these numbers fail, as on a full disk. Returns the list of all calls' updates."""
    monkeypatch.setattr(saving, "PAUSE", 0.0)
    calls: list[int] = []
    function = getattr(saving, name)

    def sometimes(folder: RunFolder, step: int, *what: Any) -> Any:
        calls.append(step)
        if len(calls) in attempts:
            raise storage_failure(f"{name} step-{step}", OSError(errno.ENOSPC, "No space left on device"))
        return function(folder, step, *what)

    monkeypatch.setattr(saving, name, sometimes)
    return calls


@pytest.mark.parametrize(
    ("attempts", "saved", "tried"),
    [
        ({2}, [1, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]),
        ({2, 3}, [1, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]),
        ({1, 2, 4}, [3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 4, 5, 6, 7, 8]),  # of 4 it is repeated after its validation
        ({8, 9}, [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]),  # the last one is repeated at once
    ],
)
def test_a_failed_save_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    attempts: set[int],
    saved: list[int],
    tried: list[int],
) -> None:
    train(settings("whole", *EVERY))
    with monkeypatch.context() as patched:
        calls = failing(patched, attempts)
        train(settings("failing", *EVERY))
    assert calls == tried
    assert RunFolder(Path("runs/failing")).steps() == saved
    assert same(weights("failing", 8), weights("whole", 8))
    assert load(RunFolder(Path("runs/failing")), "best").step == load(RunFolder(Path("runs/whole")), "best").step
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in warnings if "No space left on device (failure " in line]) == len(attempts)


@pytest.mark.parametrize(("attempts", "last"), [({3, 4, 5}, 2), ({8, 9, 10}, 7)])
def test_three_failures_in_a_row_end_the_run(monkeypatch: pytest.MonkeyPatch, attempts: set[int], last: int) -> None:
    with monkeypatch.context() as patched, pytest.raises(StorageError, match="cannot save step-") as caught:
        failing(patched, attempts)
        train(settings("ended", *EVERY))
    assert caught.value.exit_code == 5
    assert load(RunFolder(Path("runs/ended")), "last").step == last
    train(settings("whole", *EVERY))
    train(settings("ended", *EVERY))  # the disk has room again
    assert same(weights("ended", 8), weights("whole", 8))


@pytest.mark.parametrize("name", ["save_validated", "mark_best"])
def test_a_validation_that_cannot_be_stored_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with monkeypatch.context() as patched:
        failing(patched, {1}, name)
        train(settings("marked", *EVERY))
    assert f"cannot {name} step-4: No space left on device; training goes on" in caplog.messages
    assert load(RunFolder(Path("runs/marked")), "best").step in (4, 8)
    assert load(RunFolder(Path("runs/marked")), "last").step == 8


def test_at_least_two_checkpoints_are_kept() -> None:
    train(settings("kept", "trainer.keep_last=1", "trainer.average=1", "trainer.validate_every=8", *EVERY[:1]))
    assert len(RunFolder(Path("runs/kept")).steps()) >= 2
