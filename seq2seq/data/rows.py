"""The rows of a jsonl, csv, tsv or parquet file, each with its place; text stays the text it is.

The line-based formats are read here, strictly and with line numbers: the loaders of the `datasets` library turn texts
that look like dates into dates (json) and 'NA' into nothing (csv). Parquet, which has types of its own, is theirs.
"""

import csv
import glob
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.data.text import check_file, read_lines
from seq2seq.errors import DataError

Row = tuple[str, Mapping[str, Any]]  # its place ('FILE, line 3'), for messages, and its values

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
LONGEST_FIELD = 1 << 30  # characters; Python's csv stops at 131,072 otherwise


def format_of(path: Path) -> str | None:
    """The format that a file's suffix stands for, a final .gz aside."""
    return SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix)


def read_rows(path: Path, format: str, header: Sequence[str] | None) -> Iterator[Row]:
    """A file's rows. `header` names the columns of a csv or tsv file whose first line does not. Raises DataError."""
    check_file(path)
    if format == "jsonl":
        return _jsonl(path)
    return _parquet(path) if format == "parquet" else _separated(path, format, header)


def _jsonl(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is not JSON: {error}; give one object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{place} holds no JSON object but {line:.40}; give one object a line")
        yield place, row


def _separated(path: Path, format: str, header: Sequence[str] | None) -> Iterator[Row]:
    """csv with double quotes around what holds commas, quotes or line breaks; tsv without any quoting."""
    names = list(header) if header else None
    for number, fields in _tsv_fields(path) if format == "tsv" else _csv_fields(path):
        place = f"{path}, line {number}"
        if names is None:
            names = fields
        elif len(fields) != len(names):
            hint = "quote a field that holds commas" if format == "csv" else "a tab within a text must go"
            raise DataError(f"{place} has {len(fields)} fields, but there are {len(names)} columns; {hint}")
        else:
            yield place, dict(zip(names, fields, strict=True))


def _tsv_fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(read_lines(path), start=1))


def _csv_fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader((line + "\n" for line in read_lines(path)), strict=True)
    try:
        yield from ((reader.line_num, fields) for fields in reader if fields)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} is not csv: {error}") from error


def _parquet(path: Path) -> Iterator[Row]:
    import datasets

    logging.getLogger("datasets").setLevel(logging.CRITICAL)  # it logs what it raises
    name = glob.escape(str(path.absolute()))
    try:
        rows = datasets.load_dataset("parquet", data_files=name, split="train", streaming=True)  # streaming: no cache
        for number, row in enumerate(rows, start=1):
            yield f"{path}, row {number}", row
    except DataError:
        raise
    except Exception as error:  # the library's and pyarrow's own, of many kinds
        raise DataError(f"{path} cannot be read as parquet: {error}") from error
