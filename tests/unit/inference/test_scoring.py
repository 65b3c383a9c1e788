"""Scores of given pairs, from files, JSON lines or a split: the same log-probabilities as in search."""

import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs

from seq2seq.config.schema import LengthSettings, ScoreSettings, TrainSettings
from seq2seq.errors import ConfigError, DataError
from seq2seq.inference import scoring
from seq2seq.inference.scoring import Score, score, score_texts, summary
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.inference.translator import Translator
from seq2seq.search.beam import BeamSearch
from seq2seq.training.run import train

SCRIPT = ScoreSettings(run="one", checkpoint="last", source=None, target=None, split="test", output=None, changed={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scoring")


@pytest.fixture(scope="module")
def trained_once(folder: Path) -> tuple[TrainedModel, TrainSettings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = small_runs.settings("one", "trainer.max_updates=4")
        train(settings)
        return load_trained("one", settings, "last"), settings


@pytest.fixture
def run(
    folder: Path, trained_once: tuple[TrainedModel, TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> tuple[TrainedModel, TrainSettings]:
    """A run of a few updates; the tests work in its folder."""
    monkeypatch.chdir(folder)
    return trained_once


def test_scores_are_those_of_search(run: tuple[TrainedModel, TrainSettings]) -> None:
    """With the whole target as prefix and no room for more, search must end: both log-probabilities are the same."""
    trained, settings = run
    pairs = list(settings.data().read("test"))
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    search = BeamSearch(beam_size=3, length_penalty=0.0, max_length=1, max_length_ratio=0.0)
    found = Translator(trained, settings, search).translate(sources, prefixes=targets)
    assert [one.text for one in found] == targets
    scores = score_texts(trained, settings, sources, targets)
    assert [one.log_prob for one in scores] == pytest.approx([one.log_prob for one in found], abs=1e-4)
    assert [one.tokens - 1 for one in scores] == list(map(len, trained.tokenizer.target.encode(targets)))


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split("\n")[:-1]


def test_files_json_lines_and_splits_give_the_same_scores(
    run: tuple[TrainedModel, TrainSettings], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = run[1]
    pairs = list(settings.data().read("test"))
    score(SCRIPT, settings)
    lines = written(capsys)
    assert len(lines) == len(pairs)
    for name in ("source", "target"):
        (tmp_path / name).write_text("".join(getattr(pair, name) + "\n" for pair in pairs))
    files = {"source": str(tmp_path / "source"), "target": str(tmp_path / "target")}
    score(replace(SCRIPT, **files, output=str(tmp_path / "scores.tsv")), settings)
    assert (tmp_path / "scores.tsv").read_text().split("\n")[:-1] == lines
    records = [{"id": i, "source": pair.source, "target": pair.target} for i, pair in enumerate(pairs)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    score(replace(SCRIPT, source=str(tmp_path / "pairs.jsonl")), settings)
    found = [json.loads(line) for line in written(capsys)]
    assert [f"{one['log_prob']:.4f}\t{one['tokens']}" for one in found] == lines
    assert [one["id"] for one in found] == list(range(len(pairs)))


def test_overlong_pairs_are_scored_in_full_and_counted(
    run: tuple[TrainedModel, TrainSettings], caplog: pytest.LogCaptureFixture
) -> None:
    trained, settings = run
    with caplog.at_level(logging.WARNING):
        (full,) = score_texts(trained, settings, ["Monday"], ["Montag"])
        assert not caplog.messages
        short = replace(settings, length=LengthSettings(max_source=1, max_target=1, overlong="drop"))
        assert score_texts(trained, short, ["Monday"], ["Montag"]) == [full]
    assert caplog.messages == [
        "longer than length.max_source=1 tokens, scored in full: 1 sources",
        "longer than length.max_target=1 tokens, scored in full: 1 targets",
    ]


def test_a_text_that_no_memory_holds_is_refused(
    run: tuple[TrainedModel, TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "LONGEST", 20)
    message = r"a source has \d{2,} tokens, and at most 20 can be scored: leave that pair out"
    with pytest.raises(DataError, match=message):
        score_texts(*run, ["Monday", "Monday " * 30], ["Montag", "Montag"])


def test_the_summary_counts_tokens_not_pairs() -> None:
    scores = [Score(-1.0, 1), Score(-5.0, 5)]
    line = f"2 pairs, 6 tokens with the end symbols, log p -6.0000, perplexity {math.e:.4f} a token"
    assert summary(scores) == line
    assert summary([]) == "0 pairs, 0 tokens with the end symbols"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"source": "a"}, ConfigError, "source=a: give its targets too, line for line, with target=FILE"),
        ({"target": "b"}, ConfigError, "target=b: give the sources it belongs to with source=FILE"),
        (
            {"source": "a.jsonl", "target": "b"},
            ConfigError,
            "target=b: a.jsonl contains the targets as well as the sources",
        ),
        ({"source": "a", "target": "b", "output": "b"}, ConfigError, "output=b is the same file as target=b"),
        ({"source": "a", "target": "b"}, DataError, "a has 2 lines but b has 1"),
        ({"source": "a", "target": "c"}, DataError, "c does not exist"),
        ({"split": "tset"}, DataError, "there is no split 'tset': did you mean 'test'"),
    ],
)
def test_wrong_arguments_are_reported(
    run: tuple[TrainedModel, TrainSettings],
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("x\ny\n")
    Path("b").write_text("x\n")
    with pytest.raises(error, match=message):
        score(replace(SCRIPT, **changes), run[1])
