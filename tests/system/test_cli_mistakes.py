"""Mistakes on the scripts' command lines: exit codes and lines on stderr; nothing on stdout, no files."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from system.scripts import Finished, run_script

Run = Callable[[str, str], Finished]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script in an empty folder, with its arguments split as by a shell."""

    def started(script: str, words: str) -> Finished:
        found = run_script(script, *shlex.split(words), cwd=tmp_path)
        assert list(tmp_path.iterdir()) == [], "a mistake writes no files"
        return found

    return started


def test_all_mistakes_are_reported_at_once(run: Run) -> None:
    found = run(
        "train",
        "sead=3 +x=1 ~seed tie='a=b' attention=bahdnau encoder.hiden_size=3 seed=1.5 'trainer.patience=f(x) #' foo",
    )
    assert (found.rc, found.stdout) == (2, "")
    assert [line.split(":")[0] for line in found.stderr.strip("\n").split("\n")] == [
        "9 mistakes in the configuration",
        "  +x=1",
        "  ~seed",
        "  attention=bahdnau",
        "  foo",
        "  sead=3",
        "  tie=a=b",
        "  encoder.hiden_size=3",
        "  trainer.patience=f(x) #",
        "  seed=1.5",
    ]
    for message in (
        "did you mean seed?",
        "did you mean bahdanau?",
        "did you mean hidden_size?",
        "tie takes one of none, target, all. As text: \"tie='a=b'\"",
        "trainer.patience takes a whole number or null. As text: \"trainer.patience='f(x) #'\"",
        "expected a whole number, got 1.5",
    ):
        assert message in found.stderr


def test_illegal_combination_is_reported_with_other_mistakes(run: Run) -> None:
    found = run("train", "encoder=transformer decoder=transformer attention=none seed=x")
    assert (found.rc, found.stdout) == (2, "")
    lines = found.stderr.split("\n")
    assert lines[0] == "2 mistakes in the configuration:"
    assert lines[1] == "  seed=x: expected a whole number, got 'x'"
    assert "attention=none" in lines[2]


def test_an_experiment_that_does_not_exist(run: Run) -> None:
    found = run("train", "experiment=mutli30k/transformer")
    assert (found.rc, found.stdout) == (2, "")
    assert "experiment=mutli30k/transformer: there is no experiment 'mutli30k/transformer'" in found.stderr


def test_a_run_that_does_not_exist(run: Run) -> None:
    found = run("evaluate", "run=007 split=test")
    assert (found.rc, found.stdout) == (4, "")
    assert found.stderr == "run=007: there is no runs/007/config.yaml. Runs in runs: nothing\n"


def test_translate_needs_a_run(run: Run) -> None:
    found = run("translate", "encoder=gru")
    assert (found.rc, found.stdout) == (2, "")
    assert found.stderr == (
        "2 mistakes in the configuration:\n"
        "  encoder=gru: translate has no choice of encoder; it has: data, engine, search, trainer\n"
        "  run=NAME: must be given (NAME means runs/NAME, anything with a slash is a path)\n"
    )


def test_multirun_reports_the_mistakes_of_every_job(run: Run) -> None:
    found = run("train", "-m seed=x,y tie=target")
    assert (found.rc, found.stdout) == (2, "")
    assert found.stderr == (
        "2 mistakes in the configuration:\n"
        "  seed=x: expected a whole number, got 'x'\n"
        "  seed=y: expected a whole number, got 'y'\n"
    )


def test_help_goes_to_stdout(run: Run) -> None:
    found = run("train", "--help")
    assert (found.rc, found.stderr) == (0, "")
    assert "python scripts/train.py [experiment=GROUP/NAME]" in found.stdout
    assert "attention: bahdanau, " in found.stdout
    found = run("evaluate", "--help")
    assert (found.rc, found.stderr) == (0, "")
    assert "python scripts/evaluate.py run=NAME" in found.stdout
