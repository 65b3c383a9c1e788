"""Faults at a chosen call to the file system: Python's audit events, and os.fsync, of one process are counted, and the
process is killed, signalled or given an error before one of them.

No line of seq2seq knows about it. What a library writes without Python (safetensors) lies between two counted calls.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "os.utime",
}  # fmt: skip
FAILED = "failed "  # before the name of a call in a record


@dataclass(frozen=True)
class Call:
    """A counted call: its name, and the paths that it changes, relative to the folder of the test."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """What happens before the calls `first` to `last`, counted from 0: an error of the system with the number `error`,
    or the first of the paths `moved` becomes the second, or else the signal `signal`. Without `first`, nothing: calls
    are only recorded.

    Called in the new process. Every call is written to the file `record`, those that are given an error as FAILED ones;
    `also` is called first.
    """

    folder: Path
    record: Path | None = None
    first: int | None = None
    last: int | None = None
    error: int | None = None
    signal: int = signal.SIGKILL
    moved: tuple[Path, Path] | None = None
    also: Callable[[], object] | None = None

    def __call__(self) -> None:
        if self.also is not None:
            self.also()
        counted, recorded = 0, None if self.record is None else os.open(self.record, os.O_WRONLY | os.O_CREAT, 0o600)
        owner = os.getpid()

        def before(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal counted
            paths = self._changed(event, arguments)
            if not paths or os.getpid() != owner:
                return
            number, counted = counted, counted + 1
            disturbed = self.first is not None and self.first <= number <= (self.last or self.first)
            if recorded is not None:
                name = f"{FAILED}{event}" if disturbed and self.error is not None else event
                os.write(recorded, ("\t".join((name, *paths)) + "\n").encode())
            if disturbed:
                if self.error is not None:
                    raise OSError(self.error, os.strerror(self.error), paths[0])
                if self.moved is None:
                    os.kill(owner, self.signal)
                else:
                    os.rename(*self.moved)  # noqa: PTH104 - it is counted itself, as one after `last`

        flush = os.fsync

        def fsync(descriptor: int) -> None:
            before("fsync", (str(Path(f"/proc/self/fd/{descriptor}").readlink()),))
            flush(descriptor)

        os.fsync = fsync
        sys.addaudithook(before)

    def _changed(self, event: str, arguments: tuple[Any, ...]) -> list[str]:
        """The files in the folder that a call changes; those of other folders do not count."""
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(flags, int) and flags & WRITING) or (isinstance(mode, str) and set(mode) & set("wax+"))
            given = [path] if writes else []
        elif event in CHANGES or event == "fsync":
            given = [argument for argument in arguments if isinstance(argument, str | bytes | os.PathLike)]
        else:
            return []
        paths = [os.path.abspath(os.fsdecode(path)) for path in given if not isinstance(path, int)]  # noqa: PTH100 - resolve() follows links
        within = f"{self.folder}/"
        return [path.removeprefix(within) for path in paths if path.startswith(within)]


def recorded(file: Path) -> list[Call]:
    """The calls in a record."""
    lines = [line.split("\t") for line in file.read_text(errors="surrogateescape").split("\n") if line]
    return [Call(name, tuple(paths)) for name, *paths in lines]
