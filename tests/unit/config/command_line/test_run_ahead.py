"""Words of a training, and a run that exists: its settings count unless data or an experiment is typed."""

import shutil
from pathlib import Path

import pytest
from small_runs import settings

from seq2seq.commands.doctor import SCRIPT
from seq2seq.config.command_line.check import check
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import DoctorSettings, TrainSettings
from seq2seq.config.stored_run import write_config
from seq2seq.config.yaml_files import read_yaml, write_yaml
from seq2seq.errors import CheckpointError


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run `made`, of a training with other settings than the usual ones."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "runs/made/config.yaml"
    file.parent.mkdir(parents=True)
    write_config(settings("made", "data.seed=7", "length.max_source=99", "encoder=gru"), file)
    return file


def load(*words: str) -> tuple[DoctorSettings, TrainSettings]:
    loaded: tuple[DoctorSettings, TrainSettings] = SCRIPT.load(check(SCRIPT, words)[1])
    return loaded


def test_a_run_that_exists_has_its_own_settings() -> None:
    script, found = load("run=made", "json=x.json")
    assert script.json == "x.json"
    assert found.run == "made"
    assert (found.data.arguments["seed"], found.length.max_source, found.tokenizer.name) == (7, 99, "unigram")
    assert found.encoder.name == "gru"


def test_typed_keys_and_choices_change_it() -> None:
    _, found = load("run=made", "data.train=11", "tokenizer=char", "length.max_target=5")
    assert (found.data.arguments["train"], found.data.arguments["seed"]) == (11, 7)
    assert found.tokenizer.name == "char"
    assert (found.length.max_source, found.length.max_target) == (99, 5)


def test_a_run_that_is_a_path(tmp_path: Path) -> None:
    shutil.copytree("runs/made", "elsewhere")
    assert load(f"run={tmp_path}/elsewhere")[1].length.max_source == 99


def test_typed_data_describes_a_training_of_that_name() -> None:
    _, found = load("run=made", "data=cldr", "data.train=11")
    assert (found.data.arguments["train"], found.length.max_source, found.run) == (11, 256, "made")
    assert found.data.arguments["seed"] != 7
    assert load("run=new", "data=cldr")[1].run == "new"
    assert load("run=new", "experiment=cldr/demo")[1].choices["experiment"] == "cldr/demo"


def test_a_run_must_exist_where_no_data_is_typed() -> None:
    with pytest.raises(CheckpointError, match=r"there is no runs/mad/config.yaml; did you mean made\?"):
        load("run=mad")
    with pytest.raises(Mistakes) as found:
        load("run=mad", "sead=3", "+x=1")
    assert any("For the data of a new run type data=CHOICE" in line for line in found.value.lines)
    assert any(line.startswith("+x=1: ") for line in found.value.lines)


def test_every_mistake_in_both_kinds_of_keys_is_reported() -> None:
    with pytest.raises(Mistakes) as found:
        load("run=made", "max_ratio=0", "length.max_source=0", "tokens=maybe", "data.sead=1")
    lines = "\n".join(found.value.lines)
    for text in ("max_ratio=0: ", "length.max_source=0: ", "tokens=maybe: ", "data.sead=1: no such key"):
        assert text in lines


def test_classes_of_others_are_not_imported_because_a_run_names_them(run: Path) -> None:
    stored = read_yaml(run)
    stored["data"]["_target_"] = "their_package.data.Text"
    stored["extensions"] = ["their_package"]
    write_yaml(stored, run)
    with pytest.raises(Mistakes, match=r"type extensions=\[their_package\]"):
        load("run=made")


def test_packages_that_a_run_allows_are_not_allowed_by_its_name(run: Path) -> None:
    stored = read_yaml(run)
    stored["extensions"] = ["email_of_someone"]
    write_yaml(stored, run)
    assert load("run=made")[1].extensions == []
