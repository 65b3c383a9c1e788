"""Comparison of runs: names from their differences, equal budgets, seeds in one row, overlap marks, commands."""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from seq2seq.analysis.comparison.comparison import as_json, find_runs
from seq2seq.analysis.comparison.differences import check_budgets, differing_words
from seq2seq.analysis.comparison.measured import Measured, train_command
from seq2seq.analysis.comparison.page import page, table
from seq2seq.analysis.comparison.rows import make_rows, row_names
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.command_line.multirun import split_jobs
from seq2seq.config.schema import CompareSettings, TrainSettings
from seq2seq.errors import CheckpointError, ConfigError


@cache
def settings(run: str, *words: str) -> TrainSettings:
    return load_train(compose(CONFIGS, "train", [*words, f"run={run}"]))


def multirun(*words: str) -> list[TrainSettings]:
    """What `scripts/train.py -m` would train, under the names it would give."""
    name = next(word for word in words if word.startswith("run=")).removeprefix("run=")
    others = [word for word in words if not word.startswith("run=")]
    return [settings(name + job.suffix, *job.words) for job in split_jobs(others)]


def measured(run: str, score: float, **figures: Any) -> Measured:
    """A run whose interval is its score plus or minus 1."""
    defaults: dict[str, Any] = {
        "seed": 1,
        "checkpoint": "step-40",
        "updates": 40,
        "low": score - 1,
        "high": score + 1,
        "signature": "tok:13a",
        "sentences": 1000,
        "valid_nll": 2.0,
        "entropy": 0.5,
        "parameters": 1_000_000,
        "seconds_per_update": 0.25,
        "tokens_per_second": 8000.0,
        "peak_memory": 900.0,
        "device": "cpu",
        "precision": "bf16",
    }
    return Measured(run=run, score=score, **(defaults | figures))


def test_chosen_part_is_shown_by_its_name_only() -> None:
    runs = multirun("attention=bahdanau,luong_dot", "seed=1,2", "run=a")
    assert differing_words(runs) == [
        {"attention": f"attention={name}", "seed": f"seed={seed}"}
        for name in ("bahdanau", "luong_dot")
        for seed in (1, 2)
    ]


def test_keys_of_a_choice_are_shown_where_its_runs_differ() -> None:
    runs = [
        settings("a", "attention=luong_dot"),
        settings("b", "attention=multihead"),
        settings("c", "attention=multihead", "attention.heads=8"),
    ]
    assert [" ".join(words.values()) for words in differing_words(runs)] == [
        "attention=luong_dot",
        "attention=multihead attention.heads=4",
        "attention=multihead attention.heads=8",
    ]


def test_loggers_are_not_a_difference() -> None:
    runs = [settings("a", "logger=jsonl"), settings("b", "seed=2")]
    assert differing_words(runs) == [{"seed": "seed=1"}, {"seed": "seed=2"}]


def test_settings_of_most_rows_are_left_out_of_their_names() -> None:
    words = [
        {"attention": "attention=none", "normalizer": "normalizer=softmax", "seed": "seed=1"},
        {"attention": "attention=luong_dot", "normalizer": "normalizer=softmax", "seed": "seed=1"},
        {"attention": "attention=luong_dot", "normalizer": "normalizer=softmax", "seed": "seed=2"},
        {"attention": "attention=luong_dot", "normalizer": "normalizer=sparsemax", "seed": "seed=1"},
        {"attention": "attention=cosine", "normalizer": "normalizer=softmax", "seed": "seed=1"},
    ]
    names, common = row_names(words)
    assert common == ["normalizer=softmax"]
    assert names == [
        "attention=none",
        "attention=luong_dot",
        "attention=luong_dot",
        "attention=luong_dot normalizer=sparsemax",
        "attention=cosine",
    ]


def test_no_name_is_empty() -> None:
    words = [{"a": "a=1", "b": "b=1"}, {"a": "a=1", "b": "b=2"}, {"a": "a=2", "b": "b=1"}]
    assert row_names(words) == (["a=1 b=1", "a=1 b=2", "a=2 b=1"], [])
    assert row_names([{"seed": "seed=1"}, {"seed": "seed=2"}]) == (["all runs", "all runs"], [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trainer.max_updates=7",), "trainer.max_updates: auto in a, 7 in b"),
        (("trainer.tokens_per_update=100",), "trainer.tokens_per_update: 2048 in a, 100 in b"),
        (("data.train=999",), "data.train: 30000 in a, 999 in b"),
        (("tokenizer.vocab_size=999",), "tokenizer.vocab_size: auto in a, 999 in b"),
        (("decoder.hidden_size=512", "encoder.hidden_size=128"), "encoder.hidden_size: 256 in a, 128 in b; decoder"),
        (("embedding.size=128",), "embedding.size: 256 in a, 128 in b"),
    ],
)
def test_different_budgets_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_budgets([settings("a"), settings("b", *words)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_compared_parts_may_differ_in_size() -> None:
    runs = [settings("a"), settings("b", "encoder=transformer", "encoder.hidden_size=512"), settings("c", "seed=2")]
    budget = check_budgets(runs)
    assert budget["trainer.max_updates"] == "auto"
    assert budget["decoder.hidden_size"] == 256
    assert "encoder.hidden_size" not in budget


def test_rows_are_sorted_and_marked_where_ranges_overlap() -> None:
    runs = [measured("low", 20.0), measured("best", 30.0), measured("near", 28.5), measured("far", 27.9)]
    rows = make_rows([run.run for run in runs], runs, higher_is_better=True)
    assert [(row.name, row.like_best) for row in rows] == [
        ("best", False),
        ("near", True),
        ("far", False),
        ("low", False),
    ]
    assert [row.name for row in make_rows("abcd", runs, higher_is_better=False)] == ["a", "d", "c", "b"]


def test_a_second_seed_widens_the_range() -> None:
    runs = [measured("a", 30.0), measured("b", 27.0), measured("b2", 27.5, seed=2, high=29.2)]
    best, other = make_rows(["a", "b", "b"], runs, higher_is_better=True)
    assert other.score == 27.25
    assert other.range == (26.0, 29.2)
    assert other.like_best
    assert best.range == (29.0, 31.0)


def test_the_same_seed_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="runs a and b have the same settings and seed: leave one out"):
        make_rows(["x", "x"], [measured("a", 1.0), measured("b", 2.0)], higher_is_better=True)


def test_table_shows_means_spreads_and_unknown_values() -> None:
    runs = [
        measured("a", 30.0, valid_nll=2.0),
        measured("b", 31.0, valid_nll=2.5, seed=2),
        measured("c", 25.0, entropy=None, peak_memory=None, parameters=950_000),
    ]
    lines = table(make_rows(["x", "x", "y"], runs, higher_is_better=True), "bleu").split("\n")
    assert lines[0].startswith("|  | seeds | bleu | 95% range | valid NLL |")
    figures = "30.50 (30.00 – 31.00) | 29.00 – 32.00 | 2.250 (2.000 – 2.500) | 0.500 | 1,000,000 | 250 | 8,000 | 900"
    assert lines[2] == f"| `x` | 2 | {figures} |"
    assert lines[3] == "| `y` | 1 | 25.00 | 24.00 – 26.00 | 2.000 | – | 950,000 | 250 | 8,000 | – |"


def test_page_shows_equal_settings_sizes_and_commands() -> None:
    words = ("-m", "attention=bahdanau,none,luong_general", "run=small")
    runs = [replace(run, command=words) for run in multirun(*words[1:])]
    found = [measured(run.run, 30.0 + i, parameters=1000 + 10 * i) for i, run in enumerate(runs)]
    names, common = row_names(differing_words(runs))
    rows = make_rows(names, found, higher_is_better=True)
    script = CompareSettings(
        "small-*", "valid", "bleu", None, None, "cpu", None, ".cache/seq2seq", [], ("runs=small-*", "split=valid")
    )
    text = page(script, runs, rows, common, check_budgets(runs))
    assert text.startswith("# Comparison: attention\n\n`valid`, 1,000 sentences. Equal in all rows: `data=cldr`")
    for setting in ("`trainer.max_updates=auto`", "`decoder.hidden_size=256`", "`tokenizer.vocab_size=auto`"):
        assert setting in text.replace("\n", " ")
    assert (
        "Parameters: 1,000 to 1,020; furthest from the median of the rows is `attention=luong_general`, by +1.0%"
        in (text.replace("\n", " "))
    )
    block = text.partition("```\n")[2].partition("\n```")[0].split("\n")
    assert block == [
        "python scripts/train.py -m attention=bahdanau,none,luong_general run=small",
        "python scripts/evaluate.py -m run=" + ",".join(run.run for run in runs) + " split=valid",
        "python scripts/compare.py 'runs=small-*' split=valid",
    ]
    assert max(len(line) for line in text.split("\n") if line[:1] not in "|p") <= 120


def test_run_without_its_command_is_shown_with_its_settings() -> None:
    known, older = replace(settings("a"), command=("freeze=[a b]", "run=a")), replace(settings("b"), command=())
    assert train_command(known) == "python scripts/train.py 'freeze=[a b]' run=a"
    assert train_command(older) == "python scripts/train.py ... run=b  # its settings: runs/b/config.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/a1", "runs/a2", "runs/b", "elsewhere/a1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").touch()
    (tmp_path / "runs/a-no-run").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a1,b", ["a1", "b"]),
        (["b", "a1", "b"], ["b", "a1"]),
        ("a*", ["a1", "a2"]),
        ("runs/a*, b", ["a1", "a2", "b"]),
        ("elsewhere/*,a*", ["elsewhere/a1", "a1", "a2"]),
        ("missing", ["missing"]),
    ],
)
def test_runs_are_found_by_name_or_pattern(folder: Path, given: str | list[str], found: list[str]) -> None:
    assert find_runs(given) == [name.replace("/", os.sep) for name in found]


def test_a_pattern_without_a_run_is_an_error(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"runs=c\*: no run matches runs/c\*"):
        find_runs("a1,c*")
    with pytest.raises(ConfigError, match="at least one name"):
        find_runs(" , ")


def test_json_has_every_value() -> None:
    rows = make_rows(["x", "y"], [measured("a", 30.0), measured("b", 29.5, entropy=None)], higher_is_better=True)
    content = json.loads(as_json(rows, ["normalizer=softmax"], {"trainer.max_updates": 40}))
    assert [row["name"] for row in content["rows"]] == ["x", "y"]
    assert content["rows"][1]["like_best"] is True
    assert content["rows"][1]["runs"] == [vars(measured("b", 29.5, entropy=None))]
