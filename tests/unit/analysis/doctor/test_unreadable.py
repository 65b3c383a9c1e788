"""Files that a training refuses are read to their end: all lines that are not UTF-8, and where lines went missing."""

from pathlib import Path

import pytest
from broken_text import clean, files

from seq2seq.analysis.doctor.look import look
from seq2seq.errors import DataError


def test_every_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    data = files(tmp_path, clean())
    lines = (tmp_path / "train.de").read_bytes().split(b"\n")
    lines[3], lines[9] = "größer".encode("latin-1"), b"\xff\xff"
    (tmp_path / "train.de").write_bytes(b"\n".join(lines))
    looked = look(data, tmp_path / "cache")
    (finding,) = [each for each in looked.findings if each.kind == "encoding"]
    assert (finding.split, finding.side, finding.rows, finding.level) == ("train", "source", (3, 9), "serious")
    assert finding.text == f"2 lines of {tmp_path / 'train.de'} are not UTF-8"
    assert set(looked.texts) == {"valid", "test"}


def test_unequal_files_are_compared_by_their_lengths(tmp_path: Path) -> None:
    splits = clean()
    for number in range(1, 5):
        for side in splits["train"]:
            side += [f"{number}. {text}" for text in side[:540]]
    del splits["train"][1][1200]
    looked = look(files(tmp_path, splits), tmp_path / "cache")
    (finding,) = [each for each in looked.findings if each.kind == "unequal"]
    assert "has 2,700 lines but" in finding.text
    assert "by their lengths they are out of step from about line 1,2" in finding.text
    assert abs(finding.rows[0] - 1200) <= 10


def test_a_few_lines_of_unequal_number_are_only_counted(tmp_path: Path) -> None:
    splits = clean()
    splits["valid"][1].pop()
    looked = look(files(tmp_path, splits), tmp_path / "cache")
    (finding,) = [each for each in looked.findings if each.kind == "unequal"]
    assert finding.text.endswith("has 30 lines but " + f"{tmp_path / 'valid.en'} has 29")
    assert finding.advice == "find the line that is missing or too many"


@pytest.mark.parametrize(("name", "raises"), [("train.en", True), ("valid.de", True), ("test.de", False)])
def test_a_missing_file_is_an_error_where_a_training_needs_it(tmp_path: Path, name: str, raises: bool) -> None:
    data = files(tmp_path, clean())
    (tmp_path / name).unlink()
    if raises:
        with pytest.raises(DataError, match=f"{name} does not exist"):
            look(data, tmp_path / "cache")
        return
    (finding,) = [each for each in look(data, tmp_path / "cache").findings if each.kind == "unreadable"]
    assert f"{name} does not exist" in finding.text
