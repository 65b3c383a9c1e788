import errno
import fcntl
import multiprocessing
import os
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data import cache
from seq2seq.data.cache import MANIFEST, cached, is_intact, key_of
from seq2seq.errors import StorageError


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def builder(content: bytes, made: list[bytes]):
    def build(folder: Path) -> None:
        made.append(content)
        (folder / "file").write_bytes(content)

    return build


def test_entry_is_built_once(tmp_path: Path):
    made: list[bytes] = []
    places = {cached(tmp_path, "kind", "key", builder(b"a", made)) for _ in range(3)}
    assert made == [b"a"] and places == {tmp_path / "kind" / "key"}
    assert (tmp_path / "kind" / "key" / "file").read_bytes() == b"a"
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["key"]


DAMAGE = {
    "a flipped bit": lambda place: (place / "file").write_bytes(b"b"),
    "a cut file": lambda place: (place / "file").write_bytes(b""),
    "a missing file": lambda place: (place / "file").unlink(),
    "a file too many": lambda place: (place / "more").touch(),
    "no manifest": lambda place: (place / MANIFEST).unlink(),
    "a damaged manifest": lambda place: (place / MANIFEST).write_bytes(b"\xff{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_entry_is_built_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture):
    made: list[bytes] = []
    place = cached(tmp_path, "kind", "key", builder(b"a", made))
    DAMAGE[damage](place)
    assert not is_intact(place)
    assert cached(tmp_path, "kind", "key", builder(b"a", made)) == place
    assert made == [b"a", b"a"] and is_intact(place) and "is damaged; building it again" in caplog.text
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["key"]


def test_failed_build_leaves_no_files(tmp_path: Path):
    def build(folder: Path) -> None:
        (folder / "file").write_bytes(b"half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        cached(tmp_path, "kind", "key", build)
    assert list((tmp_path / "kind").iterdir()) == []


def test_full_disk_is_reported(tmp_path: Path):
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        StorageError,
        match=r"cannot be written: No space left on device. Free some space, or name another folder: cache_dir=",
    ):
        cached(tmp_path, "kind", "key", build)


def test_cache_that_is_a_file_is_reported(tmp_path: Path):
    (tmp_path / "cache").touch()
    with pytest.raises(StorageError, match=r"the cache .*cache cannot be written: "):
        cached(tmp_path / "cache", "kind", "key", builder(b"a", []))


def _build_slowly(cache: Path, number: int, start: Barrier, got: Connection) -> None:
    def build(folder: Path) -> None:
        got.send(("built", number))
        time.sleep(0.3)
        (folder / "file").write_bytes(b"%d" % number)

    start.wait(60)
    place = cached(cache, "kind", "key", build)
    assert is_intact(place)
    got.send(("got", int((place / "file").read_bytes())))


@pytest.mark.parametrize("locks", [True, False])
def test_of_processes_that_need_an_entry_at_once_one_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
):
    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    context = multiprocessing.get_context("fork")
    start, (got, sent) = context.Barrier(8), context.Pipe(duplex=False)
    processes = [context.Process(target=_build_slowly, args=(tmp_path, number, start, sent)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8
    [path] = (tmp_path / "kind").iterdir()
    assert path.name == "key" and is_intact(path)
    messages = [got.recv() for _ in range(9)]
    [built] = [number for what, number in messages if what == "built"]
    assert [number for what, number in messages if what == "got"] == [built] * 8


def test_waiting_for_another_process_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(cache, "PATIENCE", 0.0)
    caplog.set_level("INFO")
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=_build_for_ever, args=(tmp_path, begun))
    process.start()
    assert begun.wait(60)
    threading.Timer(0.5, process.kill).start()
    place = cached(tmp_path, "kind", "other", builder(b"a", []))
    process.join()
    assert is_intact(place)
    assert [line for line in caplog.messages if f"waiting for process {process.pid} on " in line]


def _build_for_ever(cache: Path, begun: Event) -> None:
    def build(folder: Path) -> None:
        (folder / "file").write_bytes(b"half")
        begun.set()
        time.sleep(600)

    cached(cache, "kind", "other", build)


def test_files_of_a_killed_process_are_removed_and_of_a_running_one_kept(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=_build_for_ever, args=(tmp_path, begun))
    process.start()
    assert begun.wait(60)
    cached(tmp_path, "kind", "key", builder(b"a", []))
    [half_made] = (tmp_path / "kind").glob(".other-*")
    assert (half_made / "file").read_bytes() == b"half"
    process.kill()
    process.join()
    cached(tmp_path, "kind", "key", builder(b"a", []))  # it exists already: nothing is built
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["key"]


def test_folder_removed_before_it_is_locked_is_created_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make, made = tempfile.mkdtemp, []

    def faster(**arguments: Any) -> str:
        made.append(make(**arguments))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", faster)
    assert is_intact(cached(tmp_path, "kind", "key", builder(b"a", [])))
    assert len(made) == 2


def test_without_locks_old_files_are_removed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fcntl, "flock", no_locks)
    old, new = tmp_path / "kind" / ".other-abc", tmp_path / "kind" / ".other-def"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    cached(tmp_path, "kind", "key", builder(b"a", []))
    assert new.exists() and not old.exists()


def test_different_values_have_different_keys():
    parts = [(1,), ("1",), (1, 2), ([1, 2],), ({"a": 1, "b": 2},), ({"a": 1},), (None,), (True,)]
    assert len({key_of(*part) for part in parts}) == len(parts)
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
