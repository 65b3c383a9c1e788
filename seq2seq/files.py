"""Writing files: flushed to the disk, and never through a symbolic link."""

import errno
import os
from io import FileIO
from pathlib import Path

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def no_link(path: str, flags: int) -> int:
    """An `opener` for `open`: raises OSError if the path is a symbolic link."""
    try:
        return os.open(path, flags | _NO_LINK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, and a run writes only inside its own folder", path) from error
        raise


def write_flushed(path: Path, raw: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with open(path, "wb", opener=no_link) as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(descriptor)


class AppendedFile:
    """A file that is appended to, without a buffer. What cannot be written stays in memory until the next call, so that
    nothing is missing or torn once the disk has room again.

    Every method raises OSError.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self._file = FileIO(path, "wb" if new else "ab", opener=no_link)
        self._waiting = bytearray()

    def append(self, data: bytes) -> None:
        """Write `data`, after what is still waiting; it is with the system when this returns."""
        self._waiting += data
        while self._waiting:
            written = self._file.write(self._waiting)
            del self._waiting[:written]

    def close(self) -> None:
        """Write what is still waiting, and close."""
        try:
            self.append(b"")
        finally:
            self._file.close()
