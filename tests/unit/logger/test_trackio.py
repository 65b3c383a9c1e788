"""Trackio: settings, and what its database cannot take."""

import os
from pathlib import Path

import pytest
from tracker_records import noted_id
from tracker_sessions import SETTINGS, begun, choice, write

from seq2seq.errors import StorageError

trackio = pytest.importorskip("trackio", reason="needs the package trackio")


def test_settings_and_names_are_recorded(tmp_path: Path) -> None:
    write(choice("trackio", group="g"), tmp_path / "run", after=0, until=20)
    (tmp_path / "run").rename(tmp_path / "renamed")
    write(choice("trackio", group="g"), tmp_path / "renamed", after=20, until=40)
    (run,) = (run for run in trackio.Api().runs("seq2seq") if run.id == noted_id(tmp_path / "renamed", "trackio"))
    assert run.name == "run"
    assert {key: run.config[key] for key in SETTINGS} == SETTINGS | {"sizes": "[1, 2]"}
    assert run.config["_Group"] == "g"


def test_a_broken_database_is_a_storage_error(tmp_path: Path) -> None:
    folder = Path(os.environ["TRACKIO_DIR"])
    folder.mkdir(exist_ok=True)
    (folder / "broken.db").write_bytes(b"not a database" * 99)
    with pytest.raises(StorageError, match=r"cannot write the log of run .*: Trackio: file is not a database"):
        begun(choice("trackio", project="broken"), tmp_path)
