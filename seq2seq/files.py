"""Files that may come from anyone, read up to a limit; and writing: flushed to the disk, never through a symbolic
link."""

import errno
import json
import os
import stat
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

LARGEST_JSON = 16_000_000  # bytes; a state.json has about a thousand
LONGEST_NUMBER = 40  # characters of a whole number in JSON
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def regular(path: str, flags: int) -> int:
    """An `opener` for `open`: raises OSError for what is no regular file, whose end may never come (a pipe, a
    device)."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    number = errno.EISDIR if folder else errno.EINVAL
    raise OSError(number, "it is a folder" if folder else "it is a pipe or a device, not a file", path)


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises OSError, also if there are more than `most`."""
    with open(path, "rb", opener=regular) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes, the most that such a file may have", str(path))
    return raw


def read_json(path: Path, most: int = LARGEST_JSON) -> Any:
    """The content of a JSON file, its numbers of a usual size. Raises OSError, and ValueError where it is not JSON."""
    try:
        return json.loads(read_bounded(path, most), parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def link_out_of(folder: Path, names: Iterable[str]) -> Path | None:
    """The first link below these entries of a folder which leads out of it; None if there is none."""
    inside = folder.resolve()
    for name in names:
        entry = folder / name
        found = [entry] if entry.is_symlink() else []
        for above, folders, files in os.walk(entry):
            found += [Path(above, each) for each in (*folders, *files) if Path(above, each).is_symlink()]
        for link in found:
            if not link.resolve().is_relative_to(inside):
                return link
    return None


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
