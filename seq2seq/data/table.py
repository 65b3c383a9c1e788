"""Tables of text: jsonl, csv, tsv and parquet files, their columns named in the settings."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from seq2seq.data.columns import Columns, ColumnsOf, split_columns
from seq2seq.data.directions import Directions
from seq2seq.data.rows import SUFFIXES, format_of, read_rows
from seq2seq.data.text import TextData, hash_file
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

NO_HEADER = "\nIf its first line is a row and not a header, name the columns: data.header=[NAME,NAME]"


class Table(TextData):
    """One file per split, plain or (except parquet) compressed; their columns may differ.

    `header` names the columns of csv and tsv files without a header line; `columns_of` the columns of a split with
    other ones; `delimiter` is the separator of csv files (None: detected). With the two tags of `both_directions` each
    pair is read in both (`Directions`). Raises ConfigError for an unknown suffix without `format`.
    """

    split_words: ClassVar[str] = "data.{split}=FILE"

    def __init__(
        self,
        *,
        root: str | None,
        format: Literal["auto", "jsonl", "csv", "tsv", "parquet"],
        header: list[str] | None,
        source: str,
        target: str,
        references: list[str],
        train: str,
        valid: str,
        test: str | None,
        extra: dict[str, str],
        columns_of: dict[str, ColumnsOf],
        source_prefix: str = "",
        target_prefix: str = "",
        delimiter: str | None = None,
        both_directions: list[str] | None = None,
    ) -> None:
        given = {"train": train, "valid": valid, "test": test, **extra}
        self.files = {split: Path(root or "") / name for split, name in given.items() if name}
        self.header, self.delimiter = header, delimiter
        self.source_prefix, self.target_prefix = source_prefix, target_prefix
        self.directions = Directions(both_directions)
        self.formats = {split: format_of(file) if format == "auto" else format for split, file in self.files.items()}
        unknown = [file for split, file in self.files.items() if self.formats[split] is None]
        problems = [f"{file}: its suffix is not one of {', '.join(SUFFIXES)}; give data.format" for file in unknown]
        self.columns = split_columns(Columns(source, target, tuple(references)), columns_of, self.files, problems)
        problems += self.directions.problems(source_prefix, target_prefix)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            problems.append(f"data.delimiter must be one character, no quote and no line break, not {delimiter!r}")
        if problems:
            raise ConfigError("\n".join(problems))

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid', 'test' if given, then those of `extra`."""
        return tuple(self.files)

    def read(self, split: str) -> Iterator[Pair]:
        """One pair per row, or one for each direction. Raises DataError."""
        self.check_split(split)
        path, form = self.files[split], str(self.formats[split])
        hint = NO_HEADER if self.header is None and form in ("csv", "tsv") else ""
        rows = read_rows(path, form, self.header, self.delimiter, hint=hint)
        empty = True
        for pair in self.columns[split].pairs(rows):
            empty = False
            yield from self.directions.of(pair)
        if empty:
            raise DataError(f"{split}: {self.files[split]} has no rows; give a file with one pair per row")

    def fingerprint(self, split: str) -> str:
        """A hash of the file's bytes and of how they are read."""
        self.check_split(split)
        how: tuple[object, ...] = (self.formats[split], self.header, self.columns[split])
        if self.delimiter is not None:
            how += (self.delimiter,)
        parts = f"{hash_file(self.files[split])} {how}{self.directions.fingerprint}"
        return hashlib.sha256(parts.encode()).hexdigest()
