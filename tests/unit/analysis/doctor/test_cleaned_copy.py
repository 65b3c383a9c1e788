"""A cleaned copy has every pair that no rule leaves out, in order; cleaned again it stays as it is."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broken_text import ENGLISH, GERMAN, Sides, clean, files, found_lines, looked_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_runs import settings as run_settings

from seq2seq.analysis.doctor.cleaned_copy import check_folder, write_cleaned
from seq2seq.analysis.doctor.cleaning import clean as cleaned_by
from seq2seq.analysis.doctor.look import look
from seq2seq.config.schema import DoctorSettings
from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles
from seq2seq.data.stored import store_texts
from seq2seq.data.table import Table
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

FIXED = {"empty", "copies", "duplicates", "overlap-train", "swapped", "wrong-side", "script", "ratio"}
RULES = ("drop_empty", "drop_copies", "drop_duplicates", "drop_overlap", "drop_wrong_side")


def script(**changed: Any) -> DoctorSettings:
    usual = dict.fromkeys(RULES, True) | {"tokens": False, "json": None, "fix": None, "max_ratio": 4.0}
    return DoctorSettings(**{**usual, **changed})


def broken() -> dict[str, Sides]:
    """Every kind of pair that is left out: lines 1 to 5 of the training set and those after line 540."""
    splits = {split: (list(sides[0]), list(sides[1])) for split, sides in clean().items()}
    source, target = splits["train"]
    source[0], target[1] = "", " "
    source[2], target[2] = target[2], source[2]
    source[3] = target[3]
    target[4] = " ".join([target[4]] * 6)
    for split, line in (("train", 100), ("valid", 3), ("test", 4)):
        source.append(splits[split][0][line])
        target.append(splits[split][1][line])
    return splits


def test_each_rule_leaves_out_its_pairs_and_no_others(tmp_path: Path) -> None:
    looked = looked_at(tmp_path, broken())
    found = cleaned_by(script(), looked)
    assert found.rows.tolist() == list(range(5, 540))
    assert sorted(found.left_out.values()) == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("drop_empty", {0, 1}),
        ("drop_copies", set()),  # untranslated pairs are also on the wrong side
        ("drop_duplicates", {540}),
        ("drop_overlap", {541, 542}),
        ("drop_wrong_side", {2}),
        ("max_ratio", {4}),
    ],
)
def test_a_rule_that_is_off_keeps_its_pairs(tmp_path: Path, rule: str, rows: set[int]) -> None:
    off = None if rule == "max_ratio" else False
    found = cleaned_by(script(**{rule: off}), looked_at(tmp_path, broken()))
    assert set(found.rows.tolist()) - set(range(5, 540)) == rows


def write(tmp_path: Path, data: TextData, **changed: Any) -> tuple[TextData, list[str]]:
    """The data that the written command names, and the lines of the report."""
    given, folder = run_settings("x"), tmp_path / "fixed"
    given = replace(given, cache_dir=str(tmp_path / "cache"), command=("data=files",))
    looked = look(data, tmp_path / "cache")
    lines = list(write_cleaned(script(fix=str(folder), **changed), given, looked))
    words = dict(word.partition("=")[::2] for word in shlex.split(lines[-1])[2:])
    if words["data"] == "table":
        arguments: dict[str, Any] = {"root": None, "format": "auto", "header": None, "references": [], "extra": {}}
        names = {split: words.get(f"data.{split}") for split in ("train", "valid", "test")}
        return Table(**arguments, **names, source="source", target="target", columns_of={}), lines
    pairs = {split: [words.get(f"data.{split}.{side}") for side in ("source", "target")] for split in data.splits()}
    test = OptionalFilePair(*pairs["test"]) if "test" in pairs else OptionalFilePair(None, None)
    languages = {"source_language": None, "target_language": None}
    sets: dict[str, Any] = {split: FilePair(*pairs[split]) for split in ("train", "valid")}
    return ParallelFiles(root=None, **languages, **sets, test=test, extra={}), lines


def test_the_copy_has_no_findings_that_fix_removes_and_is_not_cleaned_further(tmp_path: Path) -> None:
    copy, lines = write(tmp_path, files(tmp_path / "files", broken()))
    assert lines[1] == f"Wrote {tmp_path / 'fixed'}: 535 of 543 training pairs. Left out:"
    looked = look(copy, tmp_path / "cache")
    assert FIXED & {kind for kind, _, _ in found_lines(looked.findings)} == set()
    assert len(cleaned_by(script(), looked).rows) == 535
    given = broken()
    for split in ("valid", "test"):
        assert [(pair.source, pair.target) for pair in copy.read(split)] == list(zip(*given[split], strict=True))


LINE = st.sampled_from(["", " ", "a", "a\r", "x y", *GERMAN[:4], *ENGLISH[:4], "\ufeff", "1 & 2", "\u2028", "猫"])


class Given(TextData):
    """Pairs in memory."""

    def __init__(self, **splits: list[Pair]) -> None:
        self.given = splits

    def splits(self) -> tuple[str, ...]:
        return tuple(self.given)

    def read(self, split: str) -> Any:
        return iter(self.given[split])


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LINE | st.just("two\nlines"), LINE), min_size=1, max_size=30), st.booleans())
def test_kept_pairs_are_read_again_letter_for_letter(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], with_rules: bool
) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    valid = [Pair("v", "w")]
    data = Given(train=[Pair("kept", "always"), *(Pair(*pair) for pair in pairs)], valid=valid)
    rules = {} if with_rules else dict.fromkeys(RULES, False) | {"max_ratio": None}
    copy, _ = write(tmp_path, data, **rules)
    looked = look(data, tmp_path / "cache")
    rows = cleaned_by(script(**rules), looked).rows.tolist()
    assert list(copy.read("train")) == [data.given["train"][row] for row in rows]
    assert with_rules or len(rows) == len(pairs) + 1
    again = store_texts(copy, "train", tmp_path / "cache")
    assert len(again) == len(rows)


def test_a_folder_with_files_is_never_written_into(tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    (tmp_path / "mine").write_text("text")
    with pytest.raises(ConfigError, match="has files already, and nothing is written over: name a new folder"):
        check_folder(tmp_path)
    with pytest.raises(ConfigError, match="is a file, and nothing is written over"):
        check_folder(tmp_path / "mine")


def test_nothing_is_written_where_no_pair_is_left(tmp_path: Path) -> None:
    splits = clean()
    splits["train"] = (["Berlin"], [""])
    with pytest.raises(DataError, match="no pair is left; switch some rules off"):
        write(tmp_path, files(tmp_path / "files", splits))
    assert not (tmp_path / "fixed").exists()
