"""A command in a run's config.yaml is never run: only one that was typed, or stands in a file of the user's own."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_runs

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.commands.evaluate import SCRIPT
from seq2seq.commands.translate import SCRIPT as TRANSLATE
from seq2seq.config import load_stored
from seq2seq.config.command_line.check import check
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import EvaluateSettings, TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.training.run import train

PROGRAM = """
import json, sys
open("ran", "a").close()
for line in sys.stdin:
    row = json.loads(line)
    print(len(row["source"]) + len(row["references"]))
"""
REFUSED = (
    "metrics.external.command: a command in a run's config.yaml is never run, because a run may come from anyone. If "
    "you trust it, type it: metrics.external.command='...'; or choose other metrics: metrics=translation"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained with a command of the user's, which its config.yaml names."""
    made = tmp_path_factory.mktemp("commands")
    (made / "program.py").write_text(PROGRAM)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(made)
        words = ["metrics=external", "metrics.external.name=size", "trainer.max_updates=4"]
        train(small_runs.settings("one", *words, f"metrics.external.command='{command()}'"))
    assert (made / "ran").exists()  # it was chosen for the validation, too
    return made


def command() -> str:
    return shlex.join([sys.executable, "program.py"])


@pytest.fixture(autouse=True)
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's folder, not evaluated; the command has not been run."""
    monkeypatch.chdir(folder)
    Path("ran").unlink(missing_ok=True)
    for path in Path("runs/one/eval").glob("*"):
        path.unlink()
    return folder / "runs/one"


def typed(*words: str, own: Path | None = None) -> tuple[EvaluateSettings, TrainSettings]:
    """Settings as evaluate.py reads them from its command line; `own` is the folder that --config-dir names."""
    script = replace(SCRIPT, own=own)
    settings: tuple[EvaluateSettings, TrainSettings] = script.load(
        check(script, ["run=one", "bootstrap=0", "device=cpu", *words])[1]
    )
    return settings


def scores(name: str) -> dict[str, float]:
    content = json.loads(Path(f"runs/one/eval/{name}.json").read_bytes())
    return {key: value["score"] for key, value in content.items() if isinstance(value, dict) and "score" in value}


def test_the_stored_command_is_refused_and_not_run(run: Path) -> None:
    assert f"command: {command()}" in (run / "config.yaml").read_text().replace("\n      ", " ")
    for words in ([], ["metrics.external.timeout=9"], ["metrics.external.name=other", "split=valid"]):
        with pytest.raises(Mistakes) as found:
            typed(*words)
        assert found.value.lines == (REFUSED,)
    assert not Path("ran").exists()


def test_it_is_run_where_it_is_typed_again(run: Path) -> None:
    script, settings = typed(f"metrics.external.command={command()}")
    evaluate(script, settings)
    assert Path("ran").exists()
    pairs = list(settings.data().read("test"))
    expected = sum(len(pair.source) + 1 for pair in pairs) / len(pairs)
    assert scores("test") == {"size": pytest.approx(expected)}  # the run's own settings: no suffix


def test_it_may_stand_in_a_choice_of_the_users_own_folder(run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "metrics/mine.yaml"
    mine.parent.mkdir()
    words = json.dumps([sys.executable, "program.py"])
    mine.write_text(
        "size:\n  _target_: seq2seq.metrics.external.External\n  _partial_: true\n  name: size\n"
        f"  command: {words}\n  version: null\n  scale: 1\n  higher_is_better: true\n  timeout: null\n"
    )
    evaluate(*typed("metrics=mine", own=tmp_path))
    assert Path("ran").exists()
    assert list(scores("test-metrics=mine")) == ["size"]


def test_everything_else_works_without_the_command(run: Path) -> None:
    evaluate(*typed("metrics=text2text"))
    assert list(scores("test-metrics=text2text")) == ["exact_match", "token_f1"]
    script, settings = TRANSLATE.load(check(TRANSLATE, ["run=one"])[1])
    assert (script.changed, settings.metrics["external"].arguments["command"]) == ({}, None)
    settings = load_stored("one")
    assert settings.metrics["external"]().names == ("size",)
    with pytest.raises(ConfigError, match=r"^size: its command is not given; that of a run's config.yaml is never run"):
        evaluate(small_runs.evaluate_settings("one"), settings)
    assert not Path("ran").exists()


def test_a_program_that_is_missing_is_reported_before_anything_is_decoded(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script, settings = typed("metrics.external.command=no-such-program")
    with pytest.raises(ConfigError, match=r"^size: there is no program no-such-program "):
        evaluate(script, settings)
    assert "decoding" not in caplog.text
    assert not list(run.glob("eval/*"))
