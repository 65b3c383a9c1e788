"""Which record a session continues: noted in the run's folder, not in a copy of it."""

import shutil
from pathlib import Path

import pytest

from seq2seq.logger.base import Session
from seq2seq.logger.record_id import note_record_id, record_id


def noted(folder: Path) -> Path:
    folder.mkdir()
    note_record_id(Session(folder), "tool", "project", "abc")
    assert [path.name for path in folder.iterdir()] == ["tool.json"]
    return folder


@pytest.mark.parametrize(
    ("update", "tracker", "place", "expected"),
    [
        (10, "tool", "project", "abc"),
        (0, "tool", "project", None),
        (10, "other", "project", None),
        (10, "tool", "elsewhere", None),
    ],
    ids=["continued", "a new run", "another tracker", "another project"],
)
def test_a_session_continues_the_record_of_its_run(
    tmp_path: Path, update: int, tracker: str, place: str, expected: str | None
) -> None:
    assert record_id(Session(noted(tmp_path / "run"), update), tracker, place) == expected


def test_a_renamed_folder_keeps_its_record(tmp_path: Path) -> None:
    noted(tmp_path / "run").rename(tmp_path / "renamed")
    assert record_id(Session(tmp_path / "renamed", 10), "tool", "project") == "abc"


def test_a_linked_folder_is_no_copy(tmp_path: Path) -> None:
    noted(tmp_path / "run")
    (tmp_path / "link").symlink_to("run")
    assert record_id(Session(tmp_path / "link", 10), "tool", "project") == "abc"


def test_a_copy_begins_a_record_unless_the_original_has_another(tmp_path: Path) -> None:
    shutil.copytree(noted(tmp_path / "run"), tmp_path / "copy")
    assert record_id(Session(tmp_path / "copy", 10), "tool", "project") is None
    assert record_id(Session(tmp_path / "run", 10), "tool", "project") == "abc"
    note_record_id(Session(tmp_path / "run"), "tool", "project", "new")
    assert record_id(Session(tmp_path / "copy", 10), "tool", "project") == "abc"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "abc"}', b"\xff"])
def test_a_broken_note_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tool.json").write_bytes(content)
    assert record_id(Session(tmp_path, 10), "tool", "project") is None
