"""A script's standard streams: their failures become our errors, and every character can be written."""

import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from seq2seq.errors import DataError, Seq2SeqError, storage_failure

# Other than line breaks and tabs: characters that control a terminal, change the direction of writing, or break lines.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text, safe for a terminal: control characters, those of the direction of writing and unpaired surrogates as
    Python's escapes; a byte of a file's name that is not UTF-8 as \\xe9."""
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class VisibleFormatter(logging.Formatter):
    """A log formatter with `visible` messages."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible(super().format(record))


class _Input(io.FileIO):
    """stdin. Raises DataError if it cannot be read."""

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise DataError(f"stdin cannot be read: {error.strerror or error}") from error

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise DataError(f"stdin cannot be read: {error.strerror or error}") from error


class _Results(io.FileIO):
    """stdout. Raises StorageError or ClosedPipe at the first failure; what is written after that is dropped."""

    failed = False

    def write(self, data: memoryview) -> int | None:  # type: ignore[override]
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            raise storage_failure("write to stdout", error) from error


class _Messages(io.FileIO):
    """stderr. Failed writes are dropped: a training continues when its terminal is closed."""

    def write(self, data: memoryview) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


@contextmanager
def standard_streams() -> Iterator[None]:
    """Replace sys.stdin, stdout and stderr by streams with our errors, until the end of the block.

    Text keeps the stream's encoding; a character that it lacks (PYTHONIOENCODING=ascii) is backslash-escaped. A stream
    that was closed when the process started fails when it is used; a closed stderr is ignored.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdin is None or _is_file(sys.stdin):
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Input(_number(sys.stdin, os.O_WRONLY), "r", closefd=False)))
    if sys.stdout is None or _is_file(sys.stdout):
        sys.stdout = _writer(_Results(_number(sys.stdout, os.O_RDONLY), "w", closefd=False), sys.stdout)
    if sys.stderr is None or _is_file(sys.stderr):
        sys.stderr = _writer(_Messages(_number(sys.stderr, os.O_WRONLY), "w", closefd=False), sys.stderr)
    try:
        yield
    finally:
        with suppress(Seq2SeqError):
            sys.stdout.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def finish_output() -> None:
    """Flush stdout. Raises StorageError or ClosedPipe."""
    sys.stdout.flush()
    if _is_file(sys.stdout):
        try:
            os.close(os.dup(sys.stdout.fileno()))  # some network file systems report a full disk only now
        except OSError as error:
            raise storage_failure("write to stdout", error) from error


def _is_file(stream: Any) -> bool:
    """Whether the stream is a system file: in some test runners and notebooks it is not."""
    try:
        stream.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _number(stream: Any, mode: int) -> int:
    """The stream's file descriptor; for one that was closed a descriptor on which every read or write fails."""
    if stream is None:
        return os.open(os.devnull, mode)
    if stream is not sys.stdin:
        stream.flush()
    return stream.fileno()


def _writer(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    at_once = any(getattr(before, name, False) for name in ("line_buffering", "write_through"))
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        newline="\n",
        line_buffering=at_once or isinstance(raw, _Messages),
    )
