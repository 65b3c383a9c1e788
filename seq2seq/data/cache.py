"""A folder of derived files, each entry under the hash of what it was made from, written atomically and verified."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq.errors import StorageError, is_out_of_memory
from seq2seq.files import read_json
from seq2seq.locks import FileLock

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK = ".lock"  # how the name of the lock of an entry that is being built ends
ABANDONED = 86400  # seconds
PAUSE, PATIENCE = 0.1, 5.0  # seconds between attempts to take a lock, and until waiting for it is reported


def key_of(*parts: object) -> str:
    """A hash of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def cached(cache: Path, kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder cache/kind/key. If it is missing or damaged, `build` fills a new one, which is then moved there.

    Of several processes one builds, and the others wait for it; none waits to read an entry that is there. Raises
    StorageError if the disk is full or not writable, and whatever `build` raises.
    """
    place = cache / kind / key
    _sweep(place.parent)
    if is_intact(place):
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place):
            if is_intact(place):  # another process has built it meanwhile
                return place
            if place.exists():
                log.warning("the cache entry %s is damaged; building it again", place)
                _remove(place)
            with _folder_of_our_own(place) as fresh:
                build(fresh)
                _write_manifest(fresh)
                _put_in_place(fresh, place)
    except OSError as error:
        if is_out_of_memory(error):
            raise
        reason = error.strerror or str(error)
        raise StorageError(
            f"the cache {cache} cannot be written: {reason}. Free some space, or name another folder: cache_dir=FOLDER"
        ) from error
    return place


def is_intact(folder: Path) -> bool:
    """Whether the folder has exactly the files of its manifest, byte for byte."""
    try:
        listed = read_json(folder / MANIFEST)
        return bool(listed == _hashes(folder))
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as stream:
                found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _write_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps(_hashes(folder), indent=1))


def _put_in_place(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not is_intact(place):  # neither ours nor another process's
            raise


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Wait until no other process builds this entry, and let none build it until the end of the block."""
    lock, began, reported = FileLock(place.with_name(f".{place.name}{LOCK}")), time.monotonic(), False
    while not lock.take():
        if not reported and time.monotonic() - began > PATIENCE:
            log.info("waiting for %s, which prepares the same data", lock.holder())
            reported = True
        time.sleep(PAUSE)
    try:
        yield
    finally:
        lock.release(remove=True)


@contextmanager
def _folder_of_our_own(place: Path) -> Iterator[Path]:
    """A new folder next to `place`, locked while it is filled: an unlocked one was abandoned by a killed process."""
    while True:
        fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        with _opened(fresh) as descriptor:
            # Another process may have deleted it before it was locked.
            if descriptor is None or _locked(descriptor) is False or not fresh.exists():
                continue
            try:
                yield fresh
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            return


def _sweep(folder: Path) -> None:
    """Delete what killed processes have left: incomplete folders (without locks, those that are too old to be in use)
    and locks."""
    for path in folder.glob(f".*{LOCK}"):
        with suppress(OSError):
            lock = FileLock(path)
            if lock.take():
                lock.release(remove=True)
    for abandoned in folder.glob(".*-*"):
        with suppress(OSError), _opened(abandoned) as descriptor:  # it may be another user's
            locked = None if descriptor is None else _locked(descriptor)
            if locked or (locked is None and time.time() - abandoned.stat().st_mtime > ABANDONED):
                shutil.rmtree(abandoned, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """A descriptor of the folder, None if it is not there; it keeps the folder's lock until the end of the block."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool | None:
    """Lock it for this process; False if another one holds it, None if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove(place: Path) -> None:
    """Take an entry out of the way in one step, then delete it; another process may have done so already."""
    aside = place.with_name(f".{place.name}-damaged-{os.getpid()}")
    with suppress(FileNotFoundError):
        place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
