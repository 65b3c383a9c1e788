"""Which text is looked at, and how its places are named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broken_text import clean, files
from small_runs import settings

from seq2seq.analysis.doctor.look import look, text_of, text_size
from seq2seq.analysis.doctor.places import file_names, numbers
from seq2seq.config.presets import TextSize
from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles
from seq2seq.data.table import Table
from seq2seq.data.text import TextData
from seq2seq.plain_types import Part


def part(folder: Path, **changed: Any) -> Part:
    """The data of a training on sound files."""
    files(folder, clean())
    pairs: dict[str, Any] = {name: FilePair(f"{name}.de", f"{name}.en") for name in ("train", "valid")}
    usual = {"root": str(folder), "source_language": None, "target_language": None, "extra": {}, **pairs}
    return Part("files", ParallelFiles, {**usual, "test": OptionalFilePair(None, None), **changed})


def test_pairs_of_both_directions_are_looked_at_once_without_tags(tmp_path: Path) -> None:
    given = replace(settings("x"), data=part(tmp_path, both_directions=["<2en>", "<2de>"]))
    looked = look(text_of(given), tmp_path / "cache")
    assert len(looked.texts["train"]) == 540
    assert looked.texts["train"].source[0] == clean()["train"][0][0]


def test_the_size_of_text_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    given = replace(settings("x"), data=part(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert text_size(given).pairs == 540
    with (tmp_path / "train.de").open("a") as file:
        file.write("one more\n")
    assert text_size(given) == TextSize(0, 0)


def table(folder: Path) -> Table:
    usual: dict[str, Any] = {"root": str(folder), "format": "auto", "header": None, "references": [], "extra": {}}
    names = {"train": "train.jsonl", "valid": "valid.jsonl", "test": None}
    return Table(**usual, **names, source="a", target="b", columns_of={})


class Nowhere(TextData):
    """Text without files."""

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def read(self, split: str) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("kind", "side", "place", "file"),
    [
        ("files", None, "lines 1, 8, ...", "train.de and train.en"),
        ("files", "target", "lines 1, 8, ...", "train.en"),
        ("table", None, "rows 1, 8, ...", "train.jsonl"),
        ("table", "source", "rows 1, 8, ...", "train.jsonl"),
        ("nowhere", "source", "pairs 1, 8, ...", ""),
    ],
)
def test_places_are_named_as_their_user_sees_them(
    tmp_path: Path, kind: str, side: str | None, place: str, file: str
) -> None:
    data = {"files": files(tmp_path, clean()), "table": table(tmp_path), "nowhere": Nowhere()}[kind]
    assert numbers(data, [0, 7], more=True) == place
    assert numbers(data, [6], more=False) == place.split("s ")[0] + " 7"
    assert file_names(data, "train", side) == file
