"""Files that may come from anyone: what is read of them, and where links lead."""

import os
from pathlib import Path

import pytest

from seq2seq.files import link_out_of, read_bounded, read_json


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="it holds more than 4 bytes, the most that such a file may have"):
        read_bounded(path, 4)


def test_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is a pipe or a device, not a file"):
            read_bounded(path, 10)
    with pytest.raises(OSError, match="it is a folder"):
        read_bounded(tmp_path, 10)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[" * 100_000, "it is nested too deep"),
        (b"9" * 41, "a whole number of 41 digits"),
        (b"-" + b"9" * 5000, "a whole number of 5,001 digits"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe{", "codec can't decode"),
    ],
)
def test_what_is_no_usual_json_is_a_value_error(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        read_json(path)


def test_links_that_lead_out_of_a_folder_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "inner/deep").mkdir(parents=True)
    (folder / "file").touch()
    (folder / "inner/deep/up").symlink_to("../../file")
    (folder / "other").symlink_to(tmp_path)
    assert link_out_of(folder, ["file", "inner", "missing"]) is None
    assert link_out_of(folder, ["file", "other"]) == folder / "other"
    (folder / "inner/deep/out").symlink_to("../../../elsewhere")
    assert link_out_of(folder, ["inner"]) == folder / "inner/deep/out"
    (tmp_path / "name").symlink_to(folder)  # the folder itself may be a link
    (folder / "inner/deep/out").unlink()
    assert link_out_of(tmp_path / "name", ["inner"]) is None
