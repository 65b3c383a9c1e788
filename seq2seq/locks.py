"""A lock between processes: the system's or, on file systems without locks, a file that only one can create."""

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import IO

from seq2seq.files import no_link

HELD = ".held"  # after the name of a lock whose file system has no locks: a file that exists while it is held


class FileLock:
    """The lock `path`, a file that names its holder. The system lets go of it when the holder ends, even if it is
    killed.

    Where the file system has no locks, the holder creates `path`.held instead. One that a killed process of this
    machine has left is replaced; one of another machine stays until a user deletes it. Every method raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = path.with_name(path.name + HELD)
        self._file: IO[bytes] | None = None
        self._created = False

    def take(self) -> bool:
        """Take it, without waiting. False: another process holds it."""
        # Without a buffer nothing is left to be written when it is closed.
        file = open(self.path, "ab+", buffering=0, opener=no_link)  # noqa: SIM115 - Path has no opener
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        except OSError:  # the file system has no locks
            file.close()
            self._created = self._create()
            return self._created
        if not _is_at(file, self.path):  # its holder has removed it meanwhile
            file.close()
            return self.take()
        try:
            file.truncate(0)
            file.write(_name().encode())
        except OSError:
            file.close()
            raise
        self._file = file
        return True

    def holder(self) -> str:
        """Who holds it, for a message."""
        for path in (self.held, self.path):
            with suppress(OSError):
                if name := path.read_bytes()[:300].decode(errors="replace").partition(",")[0].strip():
                    return f"{name} (if that has ended, delete {path})" if path == self.held else name
        return "another process"

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; `remove`: and delete its file."""
        if self._created:
            self.held.unlink(missing_ok=True)
        if self._created or self._file is not None:
            if remove:
                self.path.unlink(missing_ok=True)
            if self._file is not None:
                self._file.close()
        self._file, self._created = None, False

    def _create(self) -> bool:
        """Create `held`, in the place of one that a killed process has left."""
        for _ in range(2):
            try:
                with self.held.open("xb") as file:
                    file.write(_name().encode())
                return True
            except FileExistsError:
                if not self._remove_abandoned():
                    return False
        return False

    def _remove_abandoned(self) -> bool:
        """Remove `held` if the process in it has ended. Another one may do so at the same time: what has been moved
        away is looked at again, and put back if it is not abandoned."""
        if not _has_ended(self.held):
            return False
        aside = self.held.with_name(f"{self.held.name}-{os.getpid()}")
        with suppress(FileNotFoundError):
            self.held.rename(aside)
            if not _has_ended(aside):
                with suppress(FileExistsError):
                    os.link(aside, self.held)
            aside.unlink()
        return True


def _name() -> str:
    """This process, with what tells it from a later one of the same number."""
    return f"process {os.getpid()} on {socket.gethostname()}, started {_start(os.getpid())}"


def _start(pid: int) -> str:
    """When a process was started, in ticks since the machine was; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _has_ended(held: Path) -> bool:
    """Whether the file names a process of this machine that is not there any more."""
    try:
        words = held.read_bytes()[:300].decode(errors="replace").split()
        pid, host, start = int(words[1]), words[3].rstrip(","), words[5] if len(words) > 5 else ""
    except (OSError, ValueError, IndexError):
        return False
    return host == socket.gethostname() and _start(pid) != start


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
