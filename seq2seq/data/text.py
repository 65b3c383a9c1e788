"""Text sources: what every one offers, and how bytes become lines (split at LF only, strict UTF-8)."""

import difflib
import gzip
import hashlib
import io
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seq2seq.errors import DataError
from seq2seq.plain_types import Component, Pair

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextData(Component, ABC):
    """A source of text pairs in named splits ('train', 'valid', 'test' and any others).

    Constructors read nothing: a mistake in the settings raises ConfigError, one in the text DataError, when read.
    `source_prefix` is put before every source that a model reads, in training and after; `read` and the scores see
    the text without it.
    """

    source_prefix: str = ""

    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, in the order they were configured."""

    @abstractmethod
    def read(self, split: str) -> Iterator[Pair]:
        """The pairs of a split, in order. Raises DataError with the file, the line and what to do."""

    def fingerprint(self, split: str) -> str:
        """A hash of a split's contents: it changes whenever what `read` yields changes.

        This default hashes the text itself; a source that knows a cheaper way overrides it.
        """
        digest = hashlib.sha256()
        for pair in self.read(split):
            digest.update(json.dumps([pair.source, pair.target, *pair.references]).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    def check_split(self, split: str) -> None:
        """Raise DataError, with the nearest name, for a split that is not there."""
        if split not in self.splits():
            raise DataError(f"there is no split '{split}'{suggestion(split, self.splits())}")


def with_prefix(prefix: str, text: str) -> str:
    """`text` behind `prefix`; a text that says nothing stays as it is, so that nothing is answered to it."""
    return prefix + text if text.strip() else text


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """': did you mean ...?' where a known name is near, and the names there are."""
    names = list(known)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
    return f": did you mean '{near[0]}'? There are: {listed}" if near else f"; there are: {listed}"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes as they lie on disk. Raises DataError where it cannot be read."""
    check_file(path)
    with _reported(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path) -> None:
    """Raise DataError for a path that is missing (naming its nearest neighbour) or no file."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it{suggestion(path.name, _file_names(path))}")
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise DataError(
                f"{path} does not exist, nor does its folder {folder}. Check data_root and the data's paths."
            )
        raise DataError(f"{path} does not exist{suggestion(path.name, _file_names(folder))}")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a plain or gzipped UTF-8 file, told apart by content; a file of no lines yields none.

    Lines end at LF and nowhere else. A byte-order mark at the file's start and a CR right before the LF (a Windows
    line end) are removed; every other character stays. Raises DataError.
    """
    check_file(path)
    number = 0
    with _reported(path, lambda: number), _open(path) as stream:
        for number, raw in enumerate(stream, start=1):
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            yield _decode(line, raw, path, number)


def read_lenient(stream: Iterable[bytes], count_damage: Callable[[int], None] | None = None) -> Iterator[str]:
    """The lines of a binary stream as read_lines gives them, with U+FFFD for what is not UTF-8.

    `count_damage` is called with the number of replaced places of each line that has any.
    """
    for number, raw in enumerate(stream):
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if number == 0:
            line = line.removeprefix(BYTE_ORDER_MARK)
        try:
            yield line.decode()
        except UnicodeDecodeError:
            text = line.decode(errors="replace")
            if count_damage is not None:
                count_damage(text.count("\ufffd") - line.count("\ufffd".encode()))
            yield text


def _open(path: Path) -> io.BufferedReader:
    stream = path.open("rb")
    if stream.peek(2)[:2] == GZIP_MAGIC:
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), 1 << 20)
    return stream


def _decode(line: bytes, raw: bytes, path: Path, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        if number == 1 and raw.startswith(UTF16_MARKS):
            hint = f"It looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8 {path.name}"
        else:
            hint = "Correct the line, or convert the file with iconv if it is in another encoding."
        byte = line[error.start]
        raise DataError(f"{path}, line {number}: byte {error.start + 1} (0x{byte:02x}) is not UTF-8. {hint}") from error


@contextmanager
def _reported(path: Path, line: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Turn what reading a file can raise into DataError."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged gzip file (after line {line()}): {error}. Fetch or pack it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _file_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
