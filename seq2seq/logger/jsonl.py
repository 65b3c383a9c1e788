"""metrics.jsonl, a JSON object a line: what comparisons and figures read of a run, whatever else records it."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seq2seq.files import AppendedFile, read_bounded, write_flushed
from seq2seq.logger.base import Recorder, Session

METRICS_FILE = "metrics.jsonl"
LARGEST = 2_000_000_000  # bytes; ten million updates that are all logged have one

log = logging.getLogger(__name__)


class JsonLines(Recorder):
    """Writes a session's numbers to metrics.jsonl in the run's folder; a line is on disk when `scalars` returns."""

    def __init__(self, *, session: Session) -> None:
        path = session.folder / METRICS_FILE
        session.folder.mkdir(parents=True, exist_ok=True)
        cut_metrics(path, after=session.update, to_validate=session.to_validate)
        self._file = AppendedFile(path)

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """One line."""
        self._file.append(metrics_line(update, values))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def metrics_line(update: int, values: Mapping[str, float]) -> bytes:
    """One line of metrics.jsonl. JSON has no NaN or infinity: they are written as null."""
    numbers = {tag: value if math.isfinite(value) else None for tag, value in values.items()}
    return json.dumps({"update": update, **numbers}, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl in the order written; any that is not one of ours is left out, with a warning.

    Raises OSError.
    """
    return [entry for _, entry in _entries(read_bounded(path, LARGEST), path)]


def cut_metrics(path: Path, *, after: int, to_validate: bool = False) -> None:
    """Keep the lines up to update `after` alone (none, if it is 0), without its validation if that is still to come.

    The file is replaced whole or not at all.
    """
    if not path.exists():
        return
    content = read_bounded(path, LARGEST)
    kept = b"".join(line for line, entry in _entries(content, path) if _stays(entry, after, to_validate))
    if kept == content:
        return
    temporary = path.with_name(path.name + ".new")
    write_flushed(temporary, kept)
    temporary.replace(path)


def metrics_until(path: Path, *, update: int, to_validate: bool = False) -> list[dict[str, Any]]:
    """The lines that `cut_metrics` keeps, whether they have been cut or not; none where there is no file."""
    if not path.exists():
        return []
    return [entry for entry in read_metrics(path) if _stays(entry, update, to_validate)]


def _stays(entry: Mapping[str, Any], after: int, to_validate: bool) -> bool:
    again = to_validate and entry["update"] == after and any(tag.startswith("valid/") for tag in entry)
    return 0 < after >= entry["update"] and not again


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _entries(content: bytes, path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each line of metrics, parsed. A killed process may have left the last one incomplete."""
    *lines, unfinished = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry["update"], int) or not all(map(_is_number, entry.values())):
                raise TypeError("not numbers")
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("%s, line %d: skipped, because it is not a line of metrics", path, number)
            continue
        yield line + b"\n", entry
    if unfinished:
        log.warning("%s: the last line is incomplete and was skipped", path)
