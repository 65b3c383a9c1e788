"""A folder of temporary files for the processes of one run: removed at its end, or by the next run if it was killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = ".lock"


class ClaimedFolder:
    """The folder parent/name, locked by the first process; the others of the run may read there.

    The system releases a lock when its process ends. Unlocked folders are removed by the next process that claims one.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.path = parent / name
        parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] | None = None
        try:
            with _exclusive(parent / LOCK):
                self._file = self._claim()
                for other in parent.iterdir():
                    if other.is_dir() and other != self.path and _is_free(other):
                        shutil.rmtree(other, ignore_errors=True)
        except _NoLocks:  # some network file systems have none: then each process has a folder of its own
            self.path = parent / f"{name}-{os.getpid()}"
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir()
            self._file = (self.path / LOCK).open("wb")

    @property
    def is_mine(self) -> bool:
        """Whether this process has the lock and writes there."""
        return self._file is not None

    def is_free(self) -> bool:
        """Whether no process has the lock, or it is gone."""
        return _is_free(self.path)

    def remove(self) -> None:
        """Delete the folder, if this process has the lock."""
        if self._file is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            self._file.close()
            self._file = None

    def _claim(self) -> IO[bytes] | None:
        """The lock, and an empty folder; None if another process has the lock."""
        if self.path.exists():
            if not _is_free(self.path):
                return None
            shutil.rmtree(self.path)
        self.path.mkdir()
        file = (self.path / LOCK).open("wb")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file


class _NoLocks(Exception):
    """The file system has no locks."""


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Wait for the lock on a file, and keep it."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise _NoLocks from error
        yield


def _is_free(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True
