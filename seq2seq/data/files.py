"""Parallel text: line N of one file belongs to line N of another."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import ClassVar

from seq2seq.data.directions import Directions
from seq2seq.data.rows import format_of
from seq2seq.data.text import TextData, hash_file, read_lines
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

log = logging.getLogger(__name__)

GIVEN = {"train", "valid", "test"}


@dataclass(frozen=True)
class FilePair:
    """A split: files of sources, of targets, and of references to score hypotheses against (none: the targets)."""

    source: str
    target: str
    references: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OptionalFilePair:
    """An optional split: source and target may be None. Without a target the first reference takes its place."""

    source: str | None
    target: str | None
    references: list[str] = field(default_factory=list)


class ParallelFiles(TextData):
    """Splits given as a FilePair each, plain or compressed, one sentence or document per line.

    Relative names are in `root` (the working directory if it is None). The languages are only used within file names
    and reports. With the two tags of `both_directions` each pair is read in both (`Directions`). Raises ConfigError for
    half a split.
    """

    split_words: ClassVar[str] = "data.{split}.source=FILE data.{split}.target=FILE"

    def __init__(
        self,
        *,
        root: str | None,
        source_language: str | None,
        target_language: str | None,
        train: FilePair,
        valid: FilePair,
        test: OptionalFilePair,
        extra: dict[str, FilePair],
        source_prefix: str = "",
        target_prefix: str = "",
        both_directions: list[str] | None = None,
    ) -> None:
        self.root = Path(root) if root else Path()
        self.source_language = source_language
        self.target_language = target_language
        self.source_prefix, self.target_prefix = source_prefix, target_prefix
        self.directions = Directions(both_directions)
        self.files: dict[str, tuple[Path, ...]] = {}
        problems = [f"data.extra.{name}: data.{name} names that split; choose another" for name in GIVEN & extra.keys()]
        problems += self.directions.problems(source_prefix, target_prefix)
        given: dict[str, FilePair | OptionalFilePair] = {"train": train, "valid": valid, "test": test, **extra}
        for key, files in given.items():
            target = files.target or (files.references[0] if files.references else None)
            if files.source and target:
                self.files[key] = tuple(self.root / name for name in (files.source, target, *files.references))
            elif files.source or target or key in extra:
                missing = "target" if files.source else "source"
                problems.append(f"data.{'extra.' * (key in extra)}{key}.{missing} must be given: a file of text")
        if problems:
            raise ConfigError("\n".join(problems))

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid', 'test' if given, then those of `extra`."""
        return tuple(self.files)

    def read(self, split: str) -> Iterator[Pair]:
        """One pair per line, or one for each direction. Raises DataError, for files of unequal length only after their
        last common line."""
        self.check_split(split)
        paths = self.files[split]
        for path in paths:
            if format_of(path):
                log.warning(
                    "%s is read as plain text, one text per line; data=table reads the columns of a table", path
                )
        count = 0
        rows = zip_longest(*map(read_lines, paths))
        for row in rows:
            if None in row:
                raise DataError(f"{split}: {_unequal(paths, row, rows, count)}")
            count += 1
            source, target, *references = row
            yield from self.directions.of(Pair(source, target, tuple(references)))
        if count == 0:
            names = " and ".join(map(str, paths))
            raise DataError(f"{split}: {names} are empty; give files with one sentence per line")

    def fingerprint(self, split: str) -> str:
        """A hash of the files' bytes, and of the tags of two directions."""
        self.check_split(split)
        parts = [*(hash_file(path) for path in self.files[split]), self.directions.fingerprint]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def _unequal(paths: Sequence[Path], row: Sequence[str | None], rest: Iterable[Sequence[str | None]], count: int) -> str:
    """Which two files differ in length, and by how much; `count` lines are before this row."""
    counts = [count] * len(paths)
    for lines in chain([row], rest):
        counts = [number + (line is not None) for number, line in zip(counts, lines, strict=True)]
    other = next(place for place, number in enumerate(counts) if number != counts[0])
    lengths = f"{paths[0]} has {counts[0]:,} lines but {paths[other]} has {counts[other]:,}"
    return f"{lengths}; line N of one must belong to line N of the other"
