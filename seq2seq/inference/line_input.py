"""Input of the scripts: lines of text, or the rows of a table, read as in training."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.config.schema import TrainSettings
from seq2seq.data.columns import text_of
from seq2seq.data.rows import Row, format_of, read_rows
from seq2seq.data.table import NO_HEADER
from seq2seq.data.text import read_lines
from seq2seq.errors import DataError

NO_COLUMNS = (
    "\nThe run's data has no columns: name those of a table source and target, or give plain text, one text per line"
)

_BREAKS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}  # JSON escapes the others


def is_table(path: str | None) -> bool:
    """Whether the file is a table, by its suffix."""
    return path is not None and format_of(Path(path)) is not None


def read_table(path: str, settings: TrainSettings, count_damage: Callable[[int], None] | None = None) -> Iterator[Row]:
    """A table's rows, read as those of the run's own data. Raises DataError."""
    given = settings.data.arguments
    kind = str(format_of(Path(path)))
    hint = "" if isinstance(given.get("source"), str) else NO_COLUMNS
    if "header" in given and given["header"] is None and kind in ("csv", "tsv"):
        hint = NO_HEADER
    return read_rows(Path(path), kind, given.get("header"), given.get("delimiter"), count_damage, hint)


def read_texts(path: str, settings: TrainSettings, side: str) -> list[str]:
    """All texts of a file: its lines, or of a table those of the run's sources or targets. Raises DataError."""
    return list(texts_of(read_table(path, settings), settings, side) if is_table(path) else read_lines(Path(path)))


def texts_of(rows: Iterator[Row] | Sequence[Row], settings: TrainSettings, side: str) -> Iterator[str]:
    """The text of each row under the run's column for a side. Raises DataError naming file and line."""
    column = column_of(settings, side)
    return (text_of(row, column) for row in rows)


def column_of(settings: TrainSettings, side: str) -> str:
    """The column of the run's sources or targets; the side's name if its data has no columns."""
    column = settings.data.arguments.get(side)
    return column if isinstance(column, str) else side


def with_keys(row: Row, more: Mapping[str, Any], advice: str) -> str:
    """The row as a JSON line with more keys; its own values are unchanged.

    Raises DataError, with `advice`, if a key already exists.
    """
    if there := [key for key in more if key in row.values]:
        raise DataError(f"{row.place} has a column '{there[0]}' already, which would be overwritten: {advice}")
    if row.line is None:
        return _as_json({**row.values, **more})
    begun = row.line.strip().removesuffix("}").rstrip()
    return f"{begun}{', ' if row.values else ''}{_as_json(more)[1:]}"


def _as_json(values: Mapping[str, Any]) -> str:
    """On one line, for other programs too (see `one_line`); other types than JSON's (dates) as text, unpaired
    surrogates as escapes."""
    text = json.dumps(values, ensure_ascii=False, default=str).translate(_BREAKS)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(values, default=str)
    return text
