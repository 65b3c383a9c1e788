"""The Translator: what it accepts, what it refuses, what it returns."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import small_runs
import torch

from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference import translator as module
from seq2seq.inference.translator import Translator
from seq2seq.training.run import train

TEXTS = ["12 January", "a kilometre", "the day after tomorrow", "", "3 weeks"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four updates."""
    made = tmp_path_factory.mktemp("translator")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        train(small_runs.settings("one", "trainer.max_updates=4"))
    return made


@pytest.fixture
def beam(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Translator]:
    """The run, with a beam; the working directory is its own."""
    monkeypatch.chdir(folder)
    yield Translator.load("one", {"search": "beam", "search.beam_size": 3, "search.max_length": 12})


def test_the_best_output_is_the_first_candidate(beam: Translator) -> None:
    found = beam.translate(TEXTS, n_best=3)
    assert len(found) == len(TEXTS)
    for one in found:
        assert {**asdict(one.candidates[0])} == {key: asdict(one)[key] for key in ("text", "score", "log_prob")}
        assert [each.score for each in one.candidates] == sorted((each.score for each in one.candidates), reverse=True)
    assert [len(one.candidates) for one in found] == [3, 3, 3, 1, 3]
    assert found[3].text == ""
    assert [replace(one, candidates=one.candidates[:1]) for one in found] == beam.translate(TEXTS)


def test_nothing_gives_nothing(beam: Translator) -> None:
    assert beam.translate([]) == beam.translate([], prefixes=[]) == beam.translate(iter([])) == []


def test_any_iterable_and_texts_with_line_breaks(beam: Translator) -> None:
    texts = ["12\nJanuary", "3 weeks\n", "\n"]
    found = beam.translate(texts)
    assert found == beam.translate(iter(texts)) == beam.translate(tuple(texts))
    assert [one.text for one in found] == [beam.translate([text])[0].text for text in texts]


@pytest.mark.parametrize("chunk", [1, 2, 4, 5])
@pytest.mark.parametrize("search", ["beam", "sampling"])
def test_parts_of_a_list_are_the_whole_list(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, search: str
) -> None:
    monkeypatch.chdir(folder)
    translator = Translator.load("one", {"search": search, "search.max_length": 12})
    whole = translator.translate(TEXTS * 3)
    if search == "sampling":
        assert len({one.text for one in whole}) > len(TEXTS)
    parts = [translator.translate(TEXTS, first=len(TEXTS) * part) for part in range(3)]
    monkeypatch.setattr(module, "CHUNK", chunk)
    for found in (translator.translate(TEXTS * 3), [one for part in parts for one in part]):
        assert [one.text for one in found] == [one.text for one in whole]


def test_the_limit_is_that_of_the_best_output(beam: Translator) -> None:
    tokens = beam.trained.tokenizer.target.encode([one.text for one in beam.translate(TEXTS)])
    for one, ids in zip(beam.translate(TEXTS), tokens, strict=True):
        assert one.limit in (None, "search.max_length", "search.max_length_ratio")
        if one.limit == "search.max_length":
            assert len(ids) <= 11
    short = Translator.load("one", {"search.max_length": 1}).translate(["3 weeks"])
    assert (short[0].text, short[0].limit) == ("", None)
    assert Translator.load("one", {"search.max_length": 2}).translate(["3 weeks"])[0].limit == "search.max_length"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"texts": "3 weeks"}, TypeError, r"texts: expected a list of texts, got a single one: write \[text\]"),
        ({"texts": ["a", 3]}, TypeError, r"texts\[1\]: expected text, got int"),
        ({"texts": [b"a"]}, TypeError, r"texts\[0\]: expected text, got bytes"),
        ({"texts": ["a"], "prefixes": "a"}, TypeError, "prefixes: expected a list of texts"),
        ({"texts": ["a"], "prefixes": [None]}, TypeError, r"prefixes\[0\]: expected text, got NoneType"),
        ({"texts": ["a"], "prefixes": []}, ValueError, "there are 1 texts, but 0 prefixes: give one for each"),
        ({"texts": ["a"], "n_best": 0}, ConfigError, "n_best=0: expected 1 or more"),
        (
            {"texts": ["a"], "n_best": 4},
            ConfigError,
            "n_best=4: search=beam finds at most 3 per line; raise search.beam",
        ),
    ],
)
def test_wrong_arguments_are_refused(
    beam: Translator, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        beam.translate(**given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["input=x"], r"input=x: there are no files here: translate\(texts\) returns the outputs"),
        (
            ["n_best=2", "prefix=x"],
            r"n_best=2: give it with the texts: translate\(texts, n_best=3\)\n  prefix=x: give the",
        ),
        (["search.beam_size=2"], "search.beam_size=2: no such key. search=greedy takes: "),
        (["run=two"], "run=two: run was given before"),
    ],
)
@pytest.mark.usefixtures("beam")
def test_mistyped_keys_are_reported(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Translator.load("one", *words)


@pytest.mark.usefixtures("beam")
def test_a_run_that_does_not_exist() -> None:
    with pytest.raises(CheckpointError, match=r"run=on: there is no runs/on/config\.yaml; did you mean one\?"):
        Translator.load("on")


@pytest.mark.usefixtures("beam")
def test_loading_leaves_torchs_random_numbers_as_they_were() -> None:
    before = torch.get_rng_state()
    Translator.load("one")
    assert torch.get_rng_state().equal(before)
