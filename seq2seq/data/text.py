"""Text sources: their interface, and how bytes become lines (split at LF only, strict UTF-8)."""

import difflib
import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from seq2seq.data.opening import keep, open_bytes, reported, unpack
from seq2seq.errors import DataError
from seq2seq.plain_types import Component, Pair

LONGEST_NAME = 60  # characters of a name in a message
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Other names of the splits.
USUAL = {**dict.fromkeys(["dev", "val", "validation", "development", "devel"], "valid"), "testing": "test"}


class TextData(Component, ABC):
    """A source of text pairs in named splits ('train', 'valid', 'test' and any others).

    Constructors read nothing: an error in the settings raises ConfigError, one in the text DataError, when it is read.
    `source_prefix` is put before every source that a model reads, `target_prefix` before every target that it learns or
    writes, in training and after; `read`, the outputs and the scores are without them.
    """

    source_prefix: str = ""
    target_prefix: str = ""
    split_words: ClassVar[str] = ""  # the settings for the texts of a {split}

    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, in the order they were configured."""

    @abstractmethod
    def read(self, split: str) -> Iterator[Pair]:
        """The pairs of a split, in order. Raises DataError with the file, the line and what to do."""

    def fingerprint(self, split: str) -> str:
        """A hash of a split's contents: it changes whenever what `read` yields changes.

        This default hashes the text itself; a source with a cheaper way overrides it.
        """
        digest = hashlib.sha256()
        for pair in self.read(split):
            digest.update(json.dumps([pair.source, pair.target, *pair.references]).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    def check_split(self, split: str) -> None:
        """Raise DataError for an unknown split, with the nearest name and the settings that add it."""
        names = self.splits()
        if split not in names:
            usual = USUAL.get(split.lower(), "")
            near = f": did you mean '{usual}'? There are: {', '.join(names)}" if usual in names else ""
            added = (
                f"\nTo add it: {self.split_words.format(split=split)}" if split == "test" and self.split_words else ""
            )
            raise DataError(f"there is no split '{split}'{near or suggestion(split, names)}{added}")


def with_prefix(prefix: str, text: str) -> str:
    """A text as a model reads it, after `prefix`; only white space is read as empty, and its output is empty."""
    return prefix + text if text.strip() else ""


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """': did you mean ...?' if a known name is similar, and the known names."""
    names = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in known]
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "none"
    return f": did you mean '{near[0]}'? There are: {listed}" if near else f"; there are: {listed}"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes on disk; a pipe is copied, to be read again. Raises DataError."""
    check_file(path)
    with reported(str(path)):
        keep(path)
    with reported(str(path)), open_bytes(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path) -> None:
    """Raise DataError for a path that is missing (with the nearest name) or not a file."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it{suggestion(path.name, _file_names(path))}")
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise DataError(
                f"{path} does not exist, nor does its folder {folder}. Check data_root and the data's paths."
            )
        raise DataError(f"{path} does not exist{suggestion(path.name, _file_names(folder))}")


def read_lines(path: Path, count_damage: Callable[[int], None] | None = None) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or compressed (see `unpack`), as by `stream_lines`; an empty file yields
    none."""
    check_file(path)
    return _file_lines(path, count_damage)


def stream_lines(
    stream: io.BufferedIOBase, name: str, count_damage: Callable[[int], None] | None = None
) -> Iterator[str]:
    """The lines of a stream called `name` in messages.

    Lines end only at LF. A byte-order mark at the beginning and a CR right before the LF (a Windows line end) are
    removed; every other character is kept. Invalid UTF-8 raises DataError, unless there is `count_damage`: then it is
    replaced by U+FFFD, and `count_damage` is called with the number of replacements of each line that has any.
    """
    number = 0
    with reported(name, lambda: number):
        for number, raw in enumerate(unpack(stream, name), start=1):
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                if count_damage is None:
                    raise DataError(_not_utf8(line, error, f"{name}, line {number}")) from error
                text = line.decode(errors="replace")
                count_damage(text.count("\ufffd") - line.count("\ufffd".encode()))
                yield text


def _file_lines(path: Path, count_damage: Callable[[int], None] | None) -> Iterator[str]:
    with reported(str(path)), open_bytes(path) as stream:
        yield from stream_lines(stream, str(path), count_damage)


def _not_utf8(line: bytes, error: UnicodeDecodeError, place: str) -> str:
    byte = f"byte {error.start + 1} (0x{line[error.start]:02x})"
    hint = "Correct the line, or convert the file with iconv if it is in another encoding."
    return f"{place}: {byte} is not UTF-8. {hint}"


def _file_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
