"""Every row of the table of recipes is a recipe that can be trained; the words of a row replace those of the base."""

from pathlib import Path
from typing import Any

import pytest

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.training.preflight import check


@pytest.fixture
def recipes(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/recipes.py, as its script imports it."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import recipes

    return recipes


def test_every_row_can_be_trained_in_both_directions(recipes: Any) -> None:
    plain = []
    for number, row in enumerate(recipes.rows()):
        (_, words), *_ = recipes.commands(row, ("de-en", "en-de")[number % 2], "1", "trainer.max_minutes=9")
        settings = load_train(compose(CONFIGS, "train", [*words, "run=r"]))
        assert check(settings) == [], row
        assert settings.trainer.max_minutes == 9
        plain.append(str(settings.plain))
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("updates", [1, 50, 400])
def test_base_can_be_trained_with_any_number_of_updates(recipes: Any, updates: int) -> None:
    (_, words), *_ = recipes.commands("base", "de-en", "1", f"trainer.max_updates={updates}")
    assert check(load_train(compose(CONFIGS, "train", [*words, "run=r"]))) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "base,simcat"], "no such rows: simcat; there are base, "),
        (["--pairs", "de-en,de-fr"], "no such pairs: de-fr; there are de-en, en-de"),
        (["--jobs", "0"], "--jobs 0: expected 1 or more"),
    ],
)
def test_mistakes_in_the_command_line_are_told_in_a_line(
    recipes: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.setattr("sys.argv", ["recipes.py", *words])
    with pytest.raises(SystemExit):
        recipes.parse()
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_last_word_of_a_key_counts(recipes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "rows", lambda: {"row": "trainer.validate_every=7 tie=none"})
    (script, words), *evaluations = recipes.commands("row", "en-de", "3", "trainer.max_updates=5")
    assert script == "train"
    assert [word for word in words if word.startswith("trainer.")] == [
        "trainer.max_updates=5",
        "trainer.validate_every=7",
    ]
    assert {"tie=none", "seed=3", "data.source_language=en", "data.target_language=de"} <= {*words}
    assert evaluations == [("evaluate", ["split=valid"]), ("evaluate", ["split=test"])]


def test_runs_at_the_same_time_share_the_cores(recipes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes.os, "sched_getaffinity", lambda _: {0, 1, 2, 5})
    queue = recipes.shares(2)
    assert [queue.get(), queue.get()] == [{0, 2}, {1, 5}]
