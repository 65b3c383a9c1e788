"""At most one process holds a lock, with and without locks of the file system; a killed one does not keep it."""

import errno
import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from seq2seq import locks
from seq2seq.locks import FileLock

FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["system", "created"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Locks of the system, and a file system that has none."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if request.param == "created":
        monkeypatch.setattr(fcntl, "flock", none)
    return request.param


def holding(path: Path, seconds: float = 60.0) -> multiprocessing.process.BaseProcess:
    """A process that holds the lock."""
    taken = FORK.Event()

    def hold() -> None:
        lock = FileLock(path)
        assert lock.take()
        taken.set()
        time.sleep(seconds)

    process = FORK.Process(target=hold)
    process.start()
    assert taken.wait(30)
    return process


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holding(path)
    lock = FileLock(path)
    assert not lock.take()
    assert lock.holder().startswith(f"process {process.pid} on {os.uname().nodename}")
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert lock.take()
    assert not FileLock(path).take()
    lock.release()
    other = FileLock(path)
    assert other.take()
    other.release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_releasing_what_another_holds_does_nothing(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert lock.take() and not other.take()
    other.release(remove=True)
    assert not other.take()


@pytest.mark.parametrize("remove", [False, True])
def test_many_processes_exclude_each_other(tmp_path: Path, remove: bool) -> None:
    """Each adds 1 to a number in a file, many times, without losing any."""
    number = tmp_path / "number"
    number.write_text("0")

    def add() -> None:
        for _ in range(20):
            lock = FileLock(tmp_path / "lock")
            while not lock.take():
                time.sleep(0.001)
            number.write_text(str(int(number.read_text()) + 1))
            lock.release(remove=remove)

    processes = [FORK.Process(target=add) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert number.read_text() == "160"


@pytest.mark.parametrize(
    "content",
    ["process 1 on another-machine, started 5", "", "nonsense", "process x on y"],
)
def test_a_created_lock_of_another_machine_stays(tmp_path: Path, content: str, kind: str) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.held.write_text(content)
    assert lock.take() == (kind == "system")
    if kind == "created":
        assert f"if that has ended, delete {lock.held}" in lock.holder() or not content
        lock.held.unlink()
        assert lock.take()


@pytest.mark.parametrize("kind", ["created"], indirect=True)
def test_a_number_that_another_process_has_now_is_abandoned(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.held.write_text(f"process {os.getpid()} on {os.uname().nodename}, started 1")
    assert lock.take()
    assert locks._start(os.getpid()) in lock.held.read_text()
