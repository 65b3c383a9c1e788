"""The rows of a jsonl, csv, tsv or parquet file, each with its place; text is not interpreted.

They are read here, strictly and with line numbers, because the loaders of the `datasets` library convert texts that
look like dates (json) and drop 'NA' (csv).
"""

import csv
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from seq2seq.data.opening import open_bytes
from seq2seq.data.text import check_file, read_lines
from seq2seq.errors import DataError

log = logging.getLogger(__name__)

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
PACKED_SUFFIXES = (".gz", ".xz", ".bz2", ".zst")
DELIMITERS = (",", ";", "\t", "|")  # that a csv file is tried with
LONGEST_FIELD = 1 << 30  # characters; Python's csv stops at 131,072 otherwise
PARQUET_ROWS = 1024  # decoded at once


class Row(NamedTuple):
    """A row: its place ('FILE, line 3') and its values, by column. `line` is its JSON line, if it has one; `hint` is a
    possible reason for a missing column."""

    place: str
    values: Mapping[str, Any]
    line: str | None = None
    hint: str = ""


def format_of(path: Path) -> str | None:
    """The format of a file's suffix, without that of a compression; None for plain text."""
    name = path.name.lower()
    packer = next((suffix for suffix in PACKED_SUFFIXES if name.endswith(suffix)), "")
    return SUFFIXES.get(Path(name.removesuffix(packer)).suffix)


def read_rows(
    path: Path,
    format: str,
    header: Sequence[str] | None = None,
    delimiter: str | None = None,
    count_damage: Callable[[int], None] | None = None,
    hint: str = "",
) -> Iterator[Row]:
    """A file's rows; blank lines are skipped. Raises DataError.

    `header` names the columns of a csv or tsv file without a header line, `delimiter` is the separator of a csv file
    (None: detected). `count_damage` as in read_lines; `hint` is that of the rows.
    """
    check_file(path)
    lines = read_lines(path, count_damage)
    if format == "parquet":
        rows = _parquet(path)
    elif format == "jsonl":
        rows = _jsonl(path, lines)
    else:
        records = _tsv_records(lines) if format == "tsv" else _csv_records(path, lines, header, delimiter)
        advice = "quote a field that holds one" if format == "csv" else "take them out"
        rows = _separated(path, records, header, advice)
    return (row._replace(hint=hint) for row in rows) if hint else rows


def _jsonl(path: Path, lines: Iterator[str]) -> Iterator[Row]:
    """One object per line, or a whole file that is one array of objects."""
    begun = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not begun and line.lstrip().startswith("["):
            yield from _array(path, "\n".join(chain([line], lines)), number)
            return
        begun, place = True, f"{path}, line {number}"
        try:
            values = json.loads(line, object_pairs_hook=_keys)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is not JSON: {_reason(error)}; give one object per line") from error
        yield Row(place, _object(values, place), line)


def _array(path: Path, text: str, first: int) -> Iterator[Row]:
    try:
        items = json.loads(text, object_pairs_hook=_keys)
    except (ValueError, RecursionError) as error:
        at = first + getattr(error, "lineno", 1) - 1
        raise DataError(
            f"{path}, line {at} is not JSON: {_reason(error)}; give one object per line, or one array"
        ) from error
    for number, values in enumerate(items, start=1):
        place = f"{path}, item {number}"
        yield Row(place, _object(values, place))


def _keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values. Which of two values for a key is meant cannot be known."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {json.dumps(twice)} occurs twice in an object")
    return values


def _reason(error: Exception) -> str:
    """Why a text is not JSON: Python says it in its own terms."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return "it has a whole number of thousands of digits" if "integer string conversion" in str(error) else str(error)


def _object(values: Any, place: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{place} is not a JSON object but {json.dumps(values):.40}; give one object per line")
    return values


def _separated(
    path: Path, records: Iterator[tuple[int, list[str]]], header: Sequence[str] | None, advice: str
) -> Iterator[Row]:
    """Rows of records, each given with the number of its first line."""
    names = list(header) if header else None
    for number, fields in records:
        place = f"{path}, line {number}"
        if names is None:
            names = fields
        elif len(fields) != len(names):
            needed = (
                f"data.header names {len(names)} columns; name each" if header else f"there are {len(names)} columns"
            )
            raise DataError(f"{place} has {len(fields)} fields, but {needed}. Separators inside a text: {advice}.")
        else:
            yield Row(place, dict(zip(names, fields, strict=True)))


def _tsv_records(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """tsv has no quotes."""
    for number, line in enumerate(lines, start=1):
        if line.strip() or "\t" in line:
            yield number, line.split("\t")


def _csv_records(
    path: Path, lines: Iterator[str], header: Sequence[str] | None, delimiter: str | None
) -> Iterator[tuple[int, list[str]]]:
    """csv: values with separators, quotes or line breaks are in double quotes."""
    csv.field_size_limit(LONGEST_FIELD)
    if delimiter is None:
        begun = []
        for line in lines:
            begun.append(line)
            if line.strip():
                break
        delimiter = _found_delimiter(path, begun[-1] if begun else "", header)
        lines = chain(begun, lines)
    taken: list[str] = []  # the lines of the current record
    reader = csv.reader(_noted(lines, taken), delimiter=delimiter, strict=True)
    ended = 0
    try:
        for fields in reader:
            if fields and (len(fields) > 1 or taken[0].strip()):
                yield ended + 1, fields
            ended += len(taken)
            taken.clear()
    except csv.Error as error:
        at = ended + _last_quote(taken, delimiter)
        reason = "a quote is opened there and not closed; double a quote inside a text"
        raise DataError(f'{path}, line {at} is not csv: {reason}: "" ({error})') from error


def _noted(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line + "\n"


def _last_quote(lines: Sequence[str], delimiter: str) -> int:
    """The line, from 1, of an invalid record on which its unclosed quote opens."""
    opened, state = 1, "begin"
    for number, line in enumerate(lines, start=1):
        for letter in line:
            if letter == '"' and state in ("begin", "closed"):
                opened, state = (number if state == "begin" else opened), "quoted"
            elif state == "quoted":
                state = "closed" if letter == '"' else "quoted"
            elif letter == delimiter:
                state = "begin"
            elif state == "closed":
                return opened
            else:
                state = "plain"
        state = "quoted" if state == "quoted" else "begin"
    return opened


def _found_delimiter(path: Path, first: str, header: Sequence[str] | None) -> str:
    """The first known delimiter that splits the first line into columns, as many as in `header`; else a comma."""
    for delimiter in DELIMITERS:
        try:
            count = len(next(csv.reader([first], delimiter=delimiter), []))
        except csv.Error:
            continue
        if count == len(header) if header else count > 1:
            if delimiter != DELIMITERS[0]:
                log.info("%s: its columns are separated by %r (data.delimiter)", path, delimiter)
            return delimiter
    return DELIMITERS[0]


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with open_bytes(path) as stream, pyarrow.parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(PARQUET_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}, row {number}", values)
    except MemoryError:  # pyarrow's is an ArrowException too
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # ValueError: text that is not UTF-8
        reason = str(error).split("\n")[0]
        raise DataError(f"{path} cannot be read as parquet (after row {number}): {reason}") from error
