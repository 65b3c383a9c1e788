"""The raw text of a split, stored once: concatenated bytes, memory-mapped, each text accessible by its number."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path
from typing import overload

import numpy as np

from seq2seq.data.cache import cached, key_of
from seq2seq.data.text import TextData, with_prefix
from seq2seq.heartbeat import Place, heartbeat
from seq2seq.plain_types import Pair

log = logging.getLogger(__name__)

FORMAT = 1  # raise it whenever the stored data changes, so that older entries are not used
CHUNK = 8192  # pairs per chunk
SIDES = ("source", "target")
COLUMNS = (*SIDES, "references")


class Column(Sequence[str]):
    """Concatenated texts in one file, with the byte offset of each.

    With a `prefix`, even an empty one, they are texts as a model reads them (see `with_prefix`); with None they are
    unchanged.
    """

    def __init__(self, folder: Path, name: str, prefix: str | None = None) -> None:
        self._prefix = prefix
        self._file = folder / f"{name}.text"
        self._bytes = map_array(self._file, np.uint8)
        self._offsets = map_array(folder / f"{name}.offsets", np.int64)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def size(self) -> int:
        """Bytes of all texts."""
        return len(self._bytes)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._neighbours(start, stop) if step == 1 else [self[i] for i in range(start, stop, step)]
        if not -len(self) <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        index %= len(self)
        start, end = self._offsets[index : index + 2]
        return self._as_read(self._bytes[start:end].tobytes())

    def _neighbours(self, start: int, stop: int) -> list[str]:
        """Read, not mapped, so that a pass over all texts does not keep their pages in memory."""
        ends = self._offsets[start : max(start, stop) + 1] if len(self) else np.zeros(1, np.int64)
        first = int(ends[0])
        with self._file.open("rb") as file:
            file.seek(first)
            text = file.read(int(ends[-1]) - first)
        bounds = pairwise((ends - first).tolist())
        return [self._as_read(text[begin:end]) for begin, end in bounds]

    def _as_read(self, text: bytes) -> str:
        return text.decode() if self._prefix is None else with_prefix(self._prefix, text.decode())


class StoredTexts:
    """A split's columns of text; `fingerprint` is a hash of their input and of the prefixes.

    `prefixed_source` and `prefixed_target` have the data's prefix before each text, blank ones are empty.
    """

    def __init__(self, folder: Path, fingerprint: str, source_prefix: str, target_prefix: str) -> None:
        self.folder, self.source_prefix, self.target_prefix = folder, source_prefix, target_prefix
        self.source, self.target, self._references = (Column(folder, name) for name in COLUMNS)
        self.prefixed_source = Column(folder, "source", source_prefix)
        self.prefixed_target = Column(folder, "target", target_prefix)
        prefixes = (source_prefix, target_prefix) if target_prefix else (source_prefix,)
        self.fingerprint = key_of(fingerprint, *prefixes) if any(prefixes) else fingerprint

    def __len__(self) -> int:
        return len(self.source)

    def pair(self, row: int) -> Pair:
        """The pair of a row."""
        return _pair(self.source[row], self.target[row], self._references[row])

    def pairs(self, start: int, end: int) -> list[Pair]:
        """The pairs of rows start to end - 1, read together."""
        rows = slice(start, end)
        return list(map(_pair, self.source[rows], self.target[rows], self._references[rows]))


def _pair(source: str, target: str, references: str) -> Pair:
    return Pair(source, target, tuple(json.loads(references)) if references else ())


class Pairs(Sequence[Pair]):
    """Some `rows` of stored texts, each read on access."""

    def __init__(self, texts: StoredTexts, rows: np.ndarray) -> None:
        self.texts = texts
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self.texts.pair(int(row)) for row in self.rows[index]]
        return self.texts.pair(int(self.rows[index]))

    def at(self, places: np.ndarray) -> "Pairs":
        """The pairs with these numbers."""
        return Pairs(self.texts, self.rows[places])

    def sources(self, start: int, end: int) -> list[str]:
        """The sources of pairs start to end - 1, as a model reads them."""
        return self._texts_of(self.texts.prefixed_source, start, end)

    def targets(self, start: int, end: int) -> list[str]:
        """The targets of pairs start to end - 1, without a prefix."""
        return self._texts_of(self.texts.target, start, end)

    def _texts_of(self, column: Column, start: int, end: int) -> list[str]:
        """Read together, including the few between them that do not belong to these pairs."""
        rows = self.rows[start:end]
        if not len(rows):
            return []
        first = int(rows[0])
        texts = column[first : int(rows[-1]) + 1]
        return [texts[row] for row in (rows - first).tolist()]


def store_texts(data: TextData, split: str, cache: Path) -> StoredTexts:
    """The split's text from the cache, stored there first if necessary. Raises DataError."""
    fingerprint = data.fingerprint(split)

    def build(folder: Path) -> None:
        log.info("reading %s", split)
        with heartbeat(f"reading {split}") as place:
            _write(data.read(split), folder, place)

    folder = cached(cache, "text", key_of(FORMAT, fingerprint), build)
    return StoredTexts(folder, fingerprint, data.source_prefix, data.target_prefix)


def map_array(path: Path, dtype: type | np.dtype) -> np.ndarray:
    """The file's numbers, memory-mapped for reading."""
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, mode="r")


def _write(pairs: Iterator[Pair], folder: Path, place: Place) -> None:
    done = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(TextWriter(folder, name)) for name in COLUMNS]
        while chunk := list(islice(pairs, CHUNK)):
            references = [json.dumps(pair.references, ensure_ascii=False) if pair.references else "" for pair in chunk]
            columns = ([pair.source for pair in chunk], [pair.target for pair in chunk], references)
            for writer, column in zip(writers, columns, strict=True):
                writer.add(column)
            done += len(chunk)
            place(f"{done:,} pairs")


class TextWriter:
    """The writer for Column."""

    def __init__(self, folder: Path, name: str) -> None:
        self._text = (folder / f"{name}.text").open("wb")
        self._offsets = (folder / f"{name}.offsets").open("wb")
        self._end = 0
        np.zeros(1, np.int64).tofile(self._offsets)

    def add(self, texts: list[str]) -> None:
        """Append texts."""
        encoded = [text.encode() for text in texts]
        self._text.write(b"".join(encoded))
        ends = self._end + np.cumsum([len(text) for text in encoded], dtype=np.int64)
        ends.tofile(self._offsets)
        self._end = int(ends[-1])

    def __enter__(self) -> "TextWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._offsets.close()
