"""Pairs in both directions, in every kind of data that offers it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data.columns import ColumnsOf
from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles
from seq2seq.data.hub import Hub
from seq2seq.data.table import Table
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError
from seq2seq.types import Pair

PAIRS = [("ein", "one", "1"), (" ", "empty", "0"), ("zwei", "two", "2")]
TAGS = ["<2en>", "<2de>"]


def files(folder: Path, **given: Any) -> ParallelFiles:
    for name, texts in zip("str", zip(*PAIRS, strict=True), strict=True):
        (folder / name).write_text("".join(f"{text}\n" for text in texts))
    pair = FilePair("s", "t", ["r"])
    languages = {"source_language": None, "target_language": None}
    own = {"train": pair, "valid": pair, "test": OptionalFilePair(None, None), "extra": {}}
    return ParallelFiles(root=str(folder), **languages, **own, **given)


def as_rows(folder: Path) -> None:
    rows = (dict(zip("str", row, strict=True)) for row in PAIRS)
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def columns() -> dict[str, Any]:
    no_others: dict[str, ColumnsOf] = {}
    return {"source": "s", "target": "t", "references": ["r"], "test": None, "extra": {}, "columns_of": no_others}


def table(folder: Path, **given: Any) -> Table:
    as_rows(folder)
    splits = {"train": "train.jsonl", "valid": "train.jsonl"}
    return Table(root=str(folder), format="auto", header=None, **columns(), **splits, **given)


def hub(folder: Path, **given: Any) -> Hub:
    as_rows(folder)
    return Hub(dataset=str(folder), revision=None, subset=None, train="train", valid="train", **columns(), **given)


every_kind = pytest.mark.parametrize("make", [files, table, hub])
Make = Callable[..., TextData]


@every_kind
def test_each_pair_in_both_directions_with_its_tag(tmp_path: Path, make: Make) -> None:
    assert list(make(tmp_path, both_directions=TAGS).read("train")) == [
        Pair("<2en> ein", "one", ("1",)),
        Pair("<2de> one", "ein"),
        Pair("", "empty", ("0",)),  # nothing to translate
        Pair("<2de> empty", " "),
        Pair("<2en> zwei", "two", ("2",)),
        Pair("<2de> two", "zwei"),
    ]


@every_kind
def test_two_tags_and_a_prefix_are_a_mistake_in_the_settings(tmp_path: Path, make: Make) -> None:
    message = "data.source_prefix: with 'x ' there is no place for two tags; add data.both_directions=null"
    with pytest.raises(ConfigError) as error:
        make(tmp_path, both_directions=TAGS, source_prefix="x ")
    assert str(error.value) == message
    make(tmp_path, both_directions=[], source_prefix="x ")


@every_kind
def test_fingerprint_depends_on_the_tags(tmp_path: Path, make: Make) -> None:
    tags = (None, TAGS, TAGS[::-1])
    assert len({make(tmp_path, both_directions=each).fingerprint("train") for each in tags}) == 3
    assert make(tmp_path, both_directions=[]).fingerprint("train") == make(tmp_path).fingerprint("train")


@every_kind
@pytest.mark.parametrize("tags", [["<2en>"], ["<a>", "<a>"], ["<a>", ""], ["<a>", "b c"], ["a", "b", "c"]])
def test_wrong_tags_are_a_mistake_in_the_settings(tmp_path: Path, make: Make, tags: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"data.both_directions: expected two different tags.*\['<2en>', '<2de>'\]"):
        make(tmp_path, both_directions=tags)


@every_kind
def test_a_prefix_of_targets_beside_two_tags_is_refused(tmp_path: Path, make: Make) -> None:
    message = (
        "data.target_prefix: with 'x ' targets of both directions would begin alike; add data.both_directions=null"
    )
    with pytest.raises(ConfigError) as caught:
        make(tmp_path, both_directions=TAGS, target_prefix="x ")
    assert str(caught.value) == message
    make(tmp_path, both_directions=[], target_prefix="x ")
