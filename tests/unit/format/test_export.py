"""The export command: checked, written as a whole or not at all, never over other files."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs
from sample_format import OwnFormat

from seq2seq.commands.export import SCRIPT
from seq2seq.config.command_line.check import check
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import ExportSettings, TrainSettings
from seq2seq.errors import ConfigError, DataError, Seq2SeqError, StorageError
from seq2seq.format.export import export
from seq2seq.format.folder import MANIFEST, is_intact, read_manifest
from seq2seq.training.run import train
from seq2seq.types import Part

USUAL = Path("runs/one/export/own")


def script(**given: Any) -> ExportSettings:
    part = Part("own", OwnFormat, given.pop("arguments", {}))
    usual = {"run": "one", "checkpoint": "best", "output": None, "input": None, "sentences": 5, "changed": {}}
    return ExportSettings(format=part, **{**usual, **given})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def trained_once(folder: Path) -> TrainSettings:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = small_runs.settings(
            "one", "trainer.max_updates=4", "data.source_prefix='de: '", "data.target_prefix='en '"
        )
        train(settings)
        return settings


@pytest.fixture
def run(folder: Path, trained_once: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """A run of a few updates; the tests work in its folder."""
    monkeypatch.chdir(folder)
    return trained_once


def test_export_is_checked_and_described(run: TrainSettings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        export(script(), run)
    assert "checked with 5 sentences of the run's valid data: equal outputs" in caplog.text
    assert f"wrote {USUAL}" in caplog.text
    manifest = json.loads((USUAL / MANIFEST).read_bytes())
    files = {path.relative_to(USUAL).as_posix() for path in USUAL.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {MANIFEST}
    assert "model.safetensors" in files
    expected = {"format": "own", "arguments": {}, "run": "one", "checkpoint": "step-4", "source_prefix": "de: "}
    expected["target_prefix"] = "en "
    assert {key: manifest[key] for key in expected} == expected
    assert set(manifest["packages"]) == {"seq2seq", "safetensors"}
    assert is_intact(USUAL, manifest)
    assert [path.name for path in USUAL.parent.iterdir() if path.name.startswith(".")] == []
    (USUAL / "model.safetensors").write_bytes(b"changed")
    assert not is_intact(USUAL, manifest)
    export(script(), run)
    assert is_intact(USUAL, manifest)


def test_weights_of_another_checkpoint_have_another_digest_and_name(run: TrainSettings) -> None:
    export(script(output="one"), run)
    export(script(output="again"), run)
    export(script(checkpoint="average"), run)
    one, again, other = (read_manifest(Path(name)) for name in ("one", "again", "runs/one/export/own-average"))
    assert one is not None and again is not None and other is not None
    assert one["weights"] == again["weights"]
    assert other["checkpoint"].startswith("average")


def test_lossy_export_is_checked_without_loss_and_compared(
    run: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        export(script(arguments={"precision": "half"}), run)
    assert "equal outputs" in caplog.text
    assert "of 5 outputs are equal to those of the model (chrF between both: " in caplog.text
    (name,) = (path.name for path in USUAL.parent.glob("own-p*"))
    assert name == "own-precision=half"
    assert not list(USUAL.parent.glob("own-p*/.*"))


@pytest.mark.parametrize("precision", ["full", "half"])
def test_export_with_other_outputs_is_not_written(run: TrainSettings, precision: str) -> None:
    wrong = script(output="faulty", arguments={"precision": precision, "fault": True})
    before = sorted(Path.cwd().iterdir())
    with pytest.raises(Seq2SeqError) as found:
        export(wrong, run)
    first, source, ours, theirs = str(found.value).split("\n")
    assert "the export gives another output than the model" in first
    assert "nats less likely than the best); nothing was written:" in first
    assert source.startswith("  source: ")
    assert ours.startswith("  model:  ")
    assert theirs.startswith("  export: ")
    assert sorted(Path.cwd().iterdir()) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes", "output=notes has files that are no export (its export.json is missing or broken): move it away"),
        ("notes/a.txt", "output=notes/a.txt is a file: name a folder"),
        ("elsewhere", "output=elsewhere is a link: name a folder"),
    ],
)
def test_other_files_are_never_replaced(run: TrainSettings, name: str, message: str) -> None:
    Path("notes").mkdir(exist_ok=True)
    Path("notes/a.txt").write_text("kept")
    if not Path("elsewhere").is_symlink():
        Path("elsewhere").symlink_to("notes")
    with pytest.raises(ConfigError) as found:
        export(script(output=name), run)
    assert str(found.value) == message
    assert Path("notes/a.txt").read_text() == "kept"


def test_folder_of_exports_that_is_a_link_is_refused(run: TrainSettings, tmp_path: Path) -> None:
    place = Path("runs/one/export")
    kept = place.with_name("kept")
    moved = place.exists()
    if moved:
        place.rename(kept)
    place.symlink_to(tmp_path)
    try:
        with pytest.raises(StorageError, match="runs/one/export is a link"):
            export(script(), run)
        assert list(tmp_path.iterdir()) == []
    finally:
        place.unlink()
        if moved:
            kept.rename(place)


def test_what_cannot_be_expressed_is_said_first(run: TrainSettings) -> None:
    other = replace(run, encoder=Part("gru", run.encoder.target, run.encoder.arguments))
    with pytest.raises(Mistakes) as found:
        export(script(run="none", output="never"), other)
    assert found.value.lines == ("format=own has no encoder=gru: it can lstm",)


def test_missing_package_is_named(run: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnFormat, "packages", ("safetensors", "no-such-package"))
    with pytest.raises(ConfigError) as found:
        export(script(output="never"), run)
    assert str(found.value) == (
        "the package no-such-package is not installed; to install it: pip install 'seq2seq[own]'"
    )


def test_sentences_come_from_a_file(run: TrainSettings, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\nin 5 days\n\nMay 5\nJune 7\n")
    with caplog.at_level(logging.INFO):
        export(script(output="given", input=str(tmp_path / "texts"), sentences=2), run)
    assert f"checked with 2 sentences of {tmp_path / 'texts'}: equal outputs" in caplog.text
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(ConfigError, match="empty has no text to check the export with"):
        export(script(input=str(tmp_path / "empty")), run)
    with pytest.raises(DataError, match="does not exist"):
        export(script(input="missing.txt"), run)


class Unreadable:
    """Data whose files are gone."""

    def check_split(self, split: str) -> None:
        pass

    def read(self, split: str) -> None:
        raise DataError(f"{split}.txt does not exist")


def test_without_data_sentences_must_be_given(run: TrainSettings) -> None:
    with pytest.raises(ConfigError) as found:
        export(script(), replace(run, data=Part("files", Unreadable, {})))
    assert str(found.value) == (
        "input=FILE: must be given: sentences to check the export with; the run's own data cannot be read "
        "(valid.txt does not exist)"
    )


def load(*words: str) -> tuple[ExportSettings, TrainSettings]:
    return SCRIPT.load(check(SCRIPT, words)[1])


def mistakes(*words: str) -> tuple[str, ...]:
    with pytest.raises(Mistakes) as found:
        load(*words)
    return found.value.lines


@pytest.fixture
def own_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """format=own is a choice of the user's own folder."""
    place = tmp_path / "choices/format/own.yaml"
    place.parent.mkdir(parents=True)
    place.write_text("_target_: sample_format.OwnFormat\n_partial_: true\nprecision: full\nfault: false\n")
    monkeypatch.setenv("SEQ2SEQ_EXTENSIONS", "sample_format")
    object.__setattr__(SCRIPT, "own", tmp_path / "choices")
    yield
    object.__setattr__(SCRIPT, "own", None)


def test_format_is_a_part_of_the_command_alone(run: TrainSettings, own_choice: None) -> None:
    own, settings = load("run=one", "format=own", "format.precision=half", "sentences=3", "search.max_length=9")
    assert own.format == Part("own", OwnFormat, {"precision": "half", "fault": False})
    assert (own.output, own.sentences) == (None, 3)
    assert "format" not in settings.choices
    assert settings.search.arguments["max_length"] == 9


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["run=one"], ["format=NAME (--help lists them): must be given"]),
        (["run=one", "format=null"], ["format=NAME (--help lists them): must be given"]),
        (
            ["run=one", "format=on", "format.precision=half"],
            ["format=on: there is no format 'on'; did you mean own? Choices: "],
        ),
        (
            ["run=one", "format=own", "format.precison=half", "format.precision=helf", "sentences=0"],
            [
                "format.precison=half: no such key; did you mean precision? format=own takes: fault, precision",
                "sentences=0: expected 1 or more, got 0",
                "format.precision=helf: expected one of full, half, got 'helf'; did you mean half?",
            ],
        ),
        (["run=one", "format=own", "encoder=gru"], ["encoder=gru: export has no choice of encoder; it has: data, "]),
        (["run=one", "format=own", "search=grady"], ["search=grady: there is no search 'grady'; did you mean greedy?"]),
        (
            ["format=none"],
            ["format=none: there is no format 'none'", "run=NAME: must be given (NAME means runs/NAME, "],
        ),
    ],
    ids=str,
)
def test_mistakes_on_the_command_line(run: TrainSettings, own_choice: None, words: list[str], lines: list[str]) -> None:
    found = mistakes(*words)
    assert len(found) == len(lines), found
    for line, beginning in zip(sorted(found), sorted(lines), strict=True):
        assert line.startswith(beginning)
