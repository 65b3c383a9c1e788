"""Parallel text: line N of one file belongs to line N of another."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from seq2seq.data.text import TextData, hash_file, read_lines
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

GIVEN = {"train", "valid", "test"}


@dataclass(frozen=True)
class FilePair:
    """A split: the file of sources and the file of targets."""

    source: str
    target: str


@dataclass(frozen=True)
class OptionalFilePair:
    """A split that need not be given: then both are None."""

    source: str | None
    target: str | None


class ParallelFiles(TextData):
    """Splits given as a FilePair each, plain or gzipped, one sentence or document a line.

    Relative names are looked for in `root` (the working directory where it is None). The languages are names to be
    used within file names and reports; nothing else depends on them. Raises ConfigError for half a split.
    """

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
    ) -> None:
        self.root = Path(root) if root else Path()
        self.source_language = source_language
        self.target_language = target_language
        self.source_prefix = source_prefix
        self.files: dict[str, tuple[Path, Path]] = {}
        problems = [f"data.extra.{name}: data.{name} names that split; choose another" for name in GIVEN & extra.keys()]
        given: dict[str, FilePair | OptionalFilePair] = {"train": train, "valid": valid, "test": test, **extra}
        for key, files in given.items():
            if files.source and files.target:
                self.files[key] = (self.root / files.source, self.root / files.target)
            elif files.source or files.target or key in extra:
                missing = "target" if files.source else "source"
                problems.append(f"data.{'extra.' * (key in extra)}{key}.{missing} must be given: a file of text")
        if problems:
            raise ConfigError("\n".join(problems))

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid', 'test' where given, then those of `extra`."""
        return tuple(self.files)

    def read(self, split: str) -> Iterator[Pair]:
        """The pairs, a line each. Raises DataError, for files of unequal length only after their last common line."""
        self.check_split(split)
        source, target = self.files[split]
        count = 0
        lines = zip_longest(read_lines(source), read_lines(target))
        for left, right in lines:
            if left is None or right is None:
                rest = 1 + sum(1 for _ in lines)
                counts = (count, count + rest) if left is None else (count + rest, count)
                raise DataError(
                    f"{split}: {source} has {counts[0]:,} lines but {target} has {counts[1]:,}; "
                    "line N of one must belong to line N of the other"
                )
            count += 1
            yield Pair(left, right)
        if count == 0:
            raise DataError(f"{split}: {source} and {target} are empty; give files with one sentence a line")

    def fingerprint(self, split: str) -> str:
        """A hash of both files' bytes."""
        self.check_split(split)
        return hashlib.sha256("".join(hash_file(path) for path in self.files[split]).encode()).hexdigest()
