"""JSON lines: an object a line, texts taken out under a column's name, answers put in beside them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq.config.schema import TrainSettings
from seq2seq.data.columns import text_of
from seq2seq.errors import DataError


class Records:
    """The objects of a file, read part by part and given back in order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.read_before = 0
        self.records: list[dict[str, Any]] = []
        self.places: list[str] = []

    def read(self, lines: Sequence[str]) -> None:
        """The next lines. Raises DataError naming file and line."""
        numbers = range(self.read_before + 1, self.read_before + 1 + len(lines))
        self.places = [f"{self.path}, line {number}" for number in numbers]
        self.read_before += len(lines)
        self.records = [_record(line, place) for line, place in zip(lines, self.places, strict=True)]

    def texts(self, column: str) -> list[str]:
        """The text of each under a column, 'a.b' for a field of one. Raises DataError naming file and line."""
        return [text_of(record, column, place) for record, place in zip(self.records, self.places, strict=True)]

    def write(self, more: Sequence[Mapping[str, Any]]) -> list[str]:
        """Lines of the next records that were read, each with more keys."""
        now, self.records = self.records[: len(more)], self.records[len(more) :]
        return [json.dumps({**record, **keys}, ensure_ascii=False) for record, keys in zip(now, more, strict=True)]


def column_of(settings: TrainSettings, side: str) -> str:
    """The column that holds the run's sources or targets; its side's name where its data have no columns."""
    column = settings.data.arguments.get(side)
    return column if isinstance(column, str) else side


def _record(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise DataError(f"{place}: an object was expected, got {line:.60}")
    return record
