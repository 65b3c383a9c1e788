"""Which record of an experiment tracker is a run's: noted in the run's folder, in a file named after the tracker."""

import json
from pathlib import Path
from typing import Any

from seq2seq.files import read_json, write_flushed
from seq2seq.logger.base import Session

LARGEST = 100_000  # bytes of a note


def record_id(session: Session, tracker: str, place: str) -> str | None:
    """The record that a session continues; None where it begins a new one.

    That is at update 0, where no record is noted, where it is at another `place` (a project, say), and in a copy of a
    run's folder: the original continues the record.
    """
    noted = _noted(session.folder / f"{tracker}.json")
    if session.update == 0 or noted.get("place") != place or _is_copy(session.folder, tracker, noted):
        return None
    return str(noted["id"])


def note_record_id(session: Session, tracker: str, place: str, record: str) -> None:
    """Note the record that the next session will continue. The file is replaced whole or not at all."""
    path = session.folder / f"{tracker}.json"
    note = {"id": record, "place": place, "folder": str(session.folder.resolve())}
    if _noted(path) == note:
        return
    temporary = path.with_name(path.name + ".new")
    write_flushed(temporary, json.dumps(note, indent=2).encode() + b"\n")
    temporary.replace(path)


def _noted(path: Path) -> dict[str, Any]:
    """The content of a note; empty if there is none, or none of ours."""
    try:
        noted = read_json(path, LARGEST)
    except (FileNotFoundError, ValueError):
        return {}
    texts = isinstance(noted, dict) and all(isinstance(noted.get(key), str) for key in ("id", "place", "folder"))
    return noted if texts else {}


def _is_copy(folder: Path, tracker: str, noted: dict[str, Any]) -> bool:
    """Whether the folder that wrote the note is another one, and still has it; a renamed folder is no copy."""
    original = Path(noted["folder"])
    try:
        there = original.is_dir() and not original.samefile(folder)
        return there and _noted(original / f"{tracker}.json").get("id") == noted["id"]
    except PermissionError:
        return True  # another user's
