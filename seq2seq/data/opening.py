"""A file's bytes: decompressed by content, not by name; other formats than UTF-8 text are refused by their name."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq.errors import DataError

LOOKED_AT = 4096  # bytes at the beginning of a stream
BUFFER = 1 << 20
LAYERS = 3  # of compression, one inside the other; a file can be made that unpacks to itself
RATIO = 100  # text shrinks to a tenth, repetitive text to a fiftieth
LARGEST_UNPACKED = 1_000_000_000  # bytes
VARIABLE = "SEQ2SEQ_LARGEST_UNPACKED"

PACKED = (
    ("gzip", re.compile(rb"\x1f\x8b")),
    ("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")),
    ("xz", re.compile(rb"\xfd7zXZ\0")),
    ("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)),
)
UNPACK = "unpack it and give what is inside"
CONVERT = "convert it: iconv -f {} -t UTF-8 FILE > NEW"
UNREADABLE = (
    ("a zip archive", re.compile(rb"PK\x03\x04"), UNPACK),
    ("a 7z archive", re.compile(rb"7z\xbc\xaf\x27\x1c"), UNPACK),
    ("a rar archive", re.compile(rb"Rar!\x1a\x07"), UNPACK),
    ("a tar archive", re.compile(rb".{257}ustar", re.DOTALL), UNPACK),
    ("packed with lz4", re.compile(rb"\x04\x22\x4d\x18"), UNPACK),
    ("packed with lzip", re.compile(rb"LZIP[\0\x01]"), UNPACK),
    ("packed with lzma", re.compile(rb"\x5d\0\0"), UNPACK),
    ("packed with compress", re.compile(rb"\x1f[\x9d\xa0]"), UNPACK),
    ("a parquet table", re.compile(rb"PAR1\x15"), "name it *.parquet, or give data.format=parquet"),
    ("an Arrow file", re.compile(rb"ARROW1\0\0"), "save it as parquet or jsonl"),
    ("a PDF document", re.compile(rb"%PDF-\d"), "save its text"),
    ("UTF-32 text", re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"), CONVERT.format("UTF-32")),
    ("UTF-16 text", re.compile(rb"\xff\xfe|\xfe\xff"), CONVERT.format("UTF-16")),
)
_KEPT: dict[Path, Any] = {}  # copies of pipes, in files that are deleted with the process


def open_bytes(path: Path) -> io.BufferedReader:
    """A file's raw bytes; those of a pipe from its copy (see `keep`)."""
    return Path(_KEPT[path].name).open("rb") if path in _KEPT else path.open("rb")


def keep(path: Path) -> None:
    """Copy a file that can be read only once (a pipe, /dev/stdin), so that it can be read again."""
    if path in _KEPT or path.is_file():
        return
    copy = tempfile.NamedTemporaryFile(prefix="seq2seq-")  # noqa: SIM115 - it stays until the process ends
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, copy, BUFFER)
    copy.flush()
    _KEPT[path] = copy


def unpack(stream: io.BufferedIOBase, name: str) -> io.BufferedReader:
    """The bytes of a stream, decompressed if they are gzip, bzip2, xz or zstd, also in several layers.

    It never reads further than the first line in advance, so that interactive input works. Raises DataError, with the
    stream's `name`, for formats that are recognised by their beginning and are not UTF-8 text; damage, and more
    unpacked bytes than text has, are found while reading (see `reported`).
    """
    looked = outermost = _Looked(stream)
    for layer in range(LAYERS + 1):
        kind = next((kind for kind, magic in PACKED if magic.match(looked.head)), None)
        if kind is None:
            _refuse(looked.head, name)
            return io.BufferedReader(looked, BUFFER)
        if layer == LAYERS:
            raise DataError(f"{name} is packed more than {LAYERS} times; unpack it and give what is inside")
        looked = _Looked(_Unpacked(_decompressor(kind, looked), kind, outermost))
    raise AssertionError


@contextmanager
def reported(name: str, line: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Convert errors of reading to DataError."""
    try:
        yield
    except _Damaged as error:
        raise DataError(
            f"{name} is a damaged {error.kind} file (after line {line()}): {error}. Fetch or pack it again."
        ) from error
    except _TooLarge as error:
        raise DataError(
            f"{name} {error} (after line {line()}). If it is yours, type {VARIABLE}=BYTES before the command."
        ) from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error


class _TooLarge(Exception):
    """More unpacked bytes than text of that size on disk has."""


class _Damaged(Exception):
    """Compressed data cannot be decompressed."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _Looked(io.RawIOBase):
    """A stream whose beginning, `head`, was already read."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream: Any = stream
        self.head = stream.read(LOOKED_AT) if stream.seekable() else stream.readline(LOOKED_AT)
        self._left = self.head
        self.read_bytes = len(self.head)  # of the stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._left[: len(buffer)]
        if data:
            self._left = self._left[len(data) :]
        else:
            data = self._stream.read1(len(buffer))
            self.read_bytes += len(data)
        buffer[: len(data)] = data
        return len(data)


class _Unpacked(io.BufferedReader):
    """A decompressor's bytes; its errors, of many kinds, become _Damaged. `packed` is what is read from the disk."""

    def __init__(self, decompressor: Any, kind: str, packed: "_Looked") -> None:
        super().__init__(_Checked(decompressor, kind, packed), BUFFER)

    def seekable(self) -> bool:
        return False


class _Checked(io.RawIOBase):
    def __init__(self, decompressor: Any, kind: str, packed: "_Looked") -> None:
        self._decompressor, self._kind, self._packed = decompressor, kind, packed
        self._unpacked, self._most = 0, largest_unpacked()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._decompressor.read1(len(buffer))
        except (EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise _Damaged(self._kind, str(error)) from error
        except OSError as error:
            if error.errno is not None:  # the file's own
                raise
            raise _Damaged(self._kind, str(error)) from error
        buffer[: len(data)] = data
        self._unpacked += len(data)
        if self._unpacked > self._most and self._unpacked > RATIO * self._packed.read_bytes:
            raise _TooLarge(f"unpacks to more than {self._most:,} bytes, {RATIO} times what it has on disk")
        return len(data)


def largest_unpacked() -> int:
    """The bytes that a packed file may have unpacked, if that is more than RATIO times what it has: the environment
    variable SEQ2SEQ_LARGEST_UNPACKED, or 1,000,000,000."""
    given = os.environ.get(VARIABLE, "").replace("_", "").replace(",", "")
    return int(given) if given.isdecimal() else LARGEST_UNPACKED


def _decompressor(kind: str, packed: _Looked) -> Any:
    buffered = io.BufferedReader(packed, BUFFER)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=buffered)
    if kind == "bzip2":
        return bz2.BZ2File(buffered)
    if kind == "xz":
        return lzma.LZMAFile(buffered)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(buffered, mode="r"), "zstd")


def _refuse(head: bytes, name: str) -> None:
    """Raise DataError for what is not text."""
    for what, magic, advice in UNREADABLE:
        if magic.match(head):
            raise DataError(f"{name} is {what}, which cannot be read: {advice}")
    if order := _utf16_order(head):
        raise DataError(f"{name} is UTF-16 text, which cannot be read: {CONVERT.format(f'UTF-16{order}')}")


def _utf16_order(head: bytes) -> str | None:
    """LE or BE for what looks like UTF-16 without a byte-order mark: high bytes are often 0, and none is a line
    feed."""
    for order, place in (("LE", 1), ("BE", 0)):
        upper, lower = head[place::2], head[1 - place :: 2]
        if upper.count(0) < 2 or b"\n" in upper:
            continue
        latin = upper.count(0) * 3 >= len(upper) and 0 not in lower
        if latin or (not _reads_as(head, "utf-8") and _reads_as(head, f"utf-16-{order}")):
            return order
    return None


def _reads_as(head: bytes, encoding: str) -> bool:
    """Whether this is the beginning of such text; the last character may be cut off."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True
