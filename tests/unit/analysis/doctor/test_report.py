"""The report as a user reads it: places, examples without control characters, the histogram, the verdict."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broken_text import GERMAN, Sides, clean, files, looked_at
from small_runs import settings

from seq2seq.analysis.doctor.doctor import as_json, examine
from seq2seq.analysis.doctor.machine import this_machine
from seq2seq.analysis.doctor.tokens import Tokens, count_tokens
from seq2seq.config.schema import DoctorSettings, LengthSettings, TrainSettings
from seq2seq.data.checks.findings import percent, shown
from seq2seq.plain_types import Part


def training(folder: Path, splits: dict[str, Sides], **changed: Any) -> TrainSettings:
    """The settings of a training on these texts."""
    data = files(folder / "files", splits)
    part = Part("files", lambda **_: data, {})
    usual = settings("x", "tokenizer.vocab_size=150", "tokenizer.byte_fallback=false")
    return replace(usual, data=part, cache_dir=str(folder / "cache"), run="new", **changed)


def report(folder: Path, capsys: pytest.CaptureFixture[str], splits: dict[str, Sides], **changed: Any) -> list[str]:
    usual: dict[str, Any] = dict.fromkeys(
        ["tokens", "drop_empty", "drop_copies", "drop_duplicates", "drop_overlap", "drop_wrong_side"], True
    )
    script = DoctorSettings(**{**usual, "json": None, "fix": None, "max_ratio": None, **changed})
    examine(script, training(folder, splits, command=("data=files", "seed=3")))
    return capsys.readouterr().out.split("\n")


def test_the_report_of_a_sound_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = report(tmp_path, capsys, clean())
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "The corpus",
        "Lengths of the training texts",
        "What was found",
        "The machine",
        "Verdict",
    ]
    assert lines[-2] == "  serious: 0, to check: 0; notes above: 2"  # valid and test are small
    table = [line for line in lines[: lines.index("The machine")] if str(tmp_path) not in line]
    assert max(map(len, table)) <= 120


def test_the_bars_count_every_training_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = report(tmp_path, capsys, clean(), tokens=False)
    start = next(place for place, line in enumerate(lines) if re.match(r" +words +source +target", line))
    end = lines.index("What was found") - 1
    found = [re.findall(r" ([\d,]+)(?= |$)", line[14:]) for line in lines[start + 1 : end]]
    counts = [[int(number.replace(",", "")) for number in numbers] for numbers in found]
    assert [sum(each) for each in zip(*counts, strict=True)] == [540, 540]


def test_places_examples_and_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = clean()
    splits["train"][0][6] += "\x1b[31m\u202e"
    for side in splits["train"]:
        side += [side[8], *side[10:18]]
    text = "\n".join(report(tmp_path, capsys, splits, tokens=False))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "  [note] train: 1 source (0.2%) with control characters\n      line 7 of train.de\n" in text
    assert "\\x1b[31m\\u202e" in text
    assert "train: 9 of 549 pairs (1.6%) repeat an earlier pair\n      lines 541, 542, 543, 544, 545, ... of " in text
    assert "  check    train: 9 of 549 pairs (1.6%) repeat an earlier pair -> fix=FOLDER\n" in text
    assert text.endswith("scripts/doctor.py data=files seed=3 fix=FOLDER\n")


def test_json_has_the_same_findings(tmp_path: Path) -> None:
    splits = clean()
    splits["train"][1][2] = ""
    looked = looked_at(tmp_path, splits)
    machine = this_machine({"runs": tmp_path})
    content = json.loads(as_json(looked, Tokens(), machine, looked.findings))
    assert content["splits"]["train"]["pairs"] == 540
    assert content["splits"]["train"]["source"]["words"]["sum"] == sum(len(text.split()) for text in GERMAN[:540])
    (empty,) = [each for each in content["findings"] if each["kind"] == "empty"]
    assert (empty["rows"], empty["level"], empty["split"]) == ([3], "note", "train")
    assert set(content["machine"]["disks"]) == {"runs"}


def test_tokens_over_the_limits_and_unknown_ones(tmp_path: Path) -> None:
    splits = clean()
    splits["valid"][0][4] = "Der Kapitän sah ein 猫."
    length = LengthSettings(max_source=30, max_target=256, overlong="drop")
    given = training(tmp_path, splits, length=length)
    looked = looked_at(tmp_path, splits)
    tokens = count_tokens(given, looked)
    kinds = {(each.kind, each.split, each.side): each for each in tokens.findings}
    overlong = kinds["overlong", "train", None]
    assert overlong.count == 540 - len(tokens.lengths["train", "source"]) > 0
    assert "over 30 source or 256 target tokens, so training leaves them out" in overlong.text
    assert kinds["unknown", "valid", "source"].rows == (4,)
    assert kinds["truncated", "valid", "source"].count > 0
    assert max(tokens.lengths["valid", "source"]) == 30


@pytest.mark.parametrize(
    ("text", "around", "expected"),
    [
        ("a\tb\nc", 0, "a\\tb\\nc"),
        ("\x1b[2J\u200b\ufeff\U000e0001", 0, "\\x1b[2J\\u200b\\ufeff\\U000e0001"),
        ("x" * 70, 0, "x" * 60 + "…"),
        ("x" * 70, 69, "…" + "x" * 60),
        ("grüße 猫", 0, "grüße 猫"),
    ],
)
def test_texts_are_shown_on_one_line_without_what_cannot_be_seen(text: str, around: int, expected: str) -> None:
    assert shown(text, around=around) == expected


@pytest.mark.parametrize(
    ("count", "total", "expected"), [(0, 0, "0.0%"), (1, 5000, "under 0.1%"), (15, 1000, "1.5%"), (1, 3, "33%")]
)
def test_percent(count: int, total: int, expected: str) -> None:
    assert percent(count, total) == expected
