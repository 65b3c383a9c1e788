"""A user's folder of choices is found, checked and composed like ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.own_folder import own_folder
from seq2seq.config.command_line.script import Script
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings


def load(script: Script, *words: str) -> TrainSettings:
    return script.load(check(script, words)[1])


def mistakes(script: Script, *words: str) -> tuple[str, ...]:
    with pytest.raises(Mistakes) as found:
        load(script, *words)
    return found.value.lines


def test_user_choices_are_added_to_ours(train: Script, own: Path) -> None:
    script = replace(train, own=own)
    assert load(script, "attention=one", "attention.dropout=0.5").attention.arguments == {"dropout": 0.5}
    settings = load(script, "experiment=own/deep", "encoder=gru")
    assert (settings.attention.name, settings.encoder.name, settings.encoder.arguments["layers"]) == ("two", "gru", 2)
    assert settings.choices["experiment"] == "own/deep"
    assert mistakes(train, "attention=one")[0].startswith("attention=one: there is no attention 'one'")


def test_the_folder_may_have_any_name(train: Script, own: Path) -> None:
    odd = own.rename(own.with_name("it's, $y {of} [mine]=ours"))
    assert load(replace(train, own=odd), "attention=one").attention.name == "one"


def test_mistakes_are_reported_with_the_users_files(train: Script, own: Path) -> None:
    script = replace(train, own=own)
    (line,) = mistakes(script, "attention=tow")
    assert line.endswith("there is no attention 'tow'; did you mean two? Choices: bahdanau, luong_dot, one, two")
    (own / "attention/one.yaml").write_text("_target_: sample_parts.Small\n_partial_: true\n\ndropuot: 0.0\n")
    (line,) = mistakes(script, "attention=one")
    assert line.startswith("mine/attention/one.yaml:4: attention.dropuot: no such key; did you mean dropout?")
    text = (own / "experiment/own/deep.yaml").read_text()
    (own / "experiment/own/deep.yaml").write_text(text.replace("attention: two", "attention: tow") + "  mode: x\n")
    found = mistakes(script, "experiment=own/deep")
    assert [line.split(": ")[0] for line in found] == [
        "mine/experiment/own/deep.yaml:3",
        "mine/experiment/own/deep.yaml:6",
    ]
    (own / "attention/one.yaml").write_text("_target_: [\n")
    (line,) = mistakes(script, "attention=one")
    assert line.startswith("mine/attention/one.yaml: line 2")


@pytest.mark.parametrize("value", ["!!set {x, y}", "!!binary aGk=", "!!int x", "!!bool x", "9" * 5000, "[1", "\t"])
def test_mistakes_in_the_defaults_of_a_choice_are_reported_with_its_file(train: Script, own: Path, value: str) -> None:
    (own / "attention/three.yaml").write_text("defaults: [base]\ndropout: 0.5\n")
    base = "_target_: sample_parts.Small\n_partial_: true\ndropout: "
    (own / "attention/base.yaml").write_text(f"{base}0.0\n")
    script = replace(train, own=own)
    assert load(script, "attention=three").attention.arguments == {"dropout": 0.5}
    (own / "attention/base.yaml").write_text(f"{base}{value}\n")
    (line,) = mistakes(script, "attention=three")
    assert line.startswith("mine/attention/base.yaml: ")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "attention/bahdanau",
            ["--config-dir=mine: seq2seq itself has files with these names: attention/bahdanau.yaml. "],
        ),
        ("train", ["--config-dir=mine: seq2seq itself has files with these names: train.yaml. Rename yours"]),
        ("atention/three", ["mine/atention: there is no group 'atention'; did you mean attention?"]),
        ("runs/a/config", []),
    ],
)
def test_wrong_files_are_refused(folder: Path, own: Path, name: str, lines: list[str]) -> None:
    path = own / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("seed: 1\n")
    if not lines:
        assert own_folder("mine", folder) == own
        return
    with pytest.raises(Mistakes) as found:
        own_folder("mine", folder)
    for line, begin in zip(found.value.lines, lines, strict=True):
        assert line.startswith(begin)


def test_a_folder_without_choices_is_refused(folder: Path, own: Path) -> None:
    with pytest.raises(Mistakes, match=r"--config-dir=mine/attention: contains no choices\. Name its folders"):
        own_folder("mine/attention", folder)


def test_folder_may_be_given_relative_to_home(folder: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(own.parent))
    assert own_folder("~/mine", folder) == own
