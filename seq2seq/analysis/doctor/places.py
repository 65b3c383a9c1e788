"""Where a pair of a split lies for its user: the file, and the number of its line or row."""

from collections.abc import Sequence
from pathlib import Path

from seq2seq.data.files import ParallelFiles
from seq2seq.data.stored import SIDES
from seq2seq.data.table import Table
from seq2seq.data.text import TextData

WORDS = {ParallelFiles: "line", Table: "row"}


def files_of(data: TextData, split: str) -> dict[str, Path]:
    """The file of each side; none where the texts are in no file of the user's."""
    if isinstance(data, Table):
        return dict.fromkeys(SIDES, data.files[split])
    return dict(zip(SIDES, data.files[split], strict=False)) if isinstance(data, ParallelFiles) else {}


def file_names(data: TextData, split: str, side: str | None = None) -> str:
    """The names of these files without their folders; '' where there are none."""
    files = files_of(data, split)
    return " and ".join(dict.fromkeys(path.name for key, path in files.items() if side in (None, key)))


def numbers(data: TextData, rows: Sequence[int], *, more: bool) -> str:
    """The places of these rows, counted from 1: `lines 3, 17, 20, ...`."""
    word = next((word for kind, word in WORDS.items() if isinstance(data, kind)), "pair")
    listed = ", ".join(str(row + 1) for row in rows)
    return f"{word}{'s' * (len(rows) > 1 or more)} {listed}{', ...' if more else ''}"
