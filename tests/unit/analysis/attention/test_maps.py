"""Unusable arguments of scripts/attention.py are refused in one line, before a model is loaded."""

from pathlib import Path
from typing import Any

import pytest

from seq2seq.analysis.attention.maps import result_name, show_attention
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import AlignmentSettings, AttentionMapSettings
from seq2seq.errors import ConfigError, DataError

ALIGNMENT = AlignmentSettings("argmax", layer=None, head=None, shift=False)


def script(**given: Any) -> AttentionMapSettings:
    defaults: dict[str, Any] = dict.fromkeys(("input", "target", "gold", "reverse", "output"))
    defaults |= {"run": "mine", "checkpoint": "best", "split": "test", "sentences": 20, "pictures": 1, "page": 1}
    return AttentionMapSettings(**{**defaults, "alignment": ALIGNMENT, "changed": {}, **given})


def refusal(given: AttentionMapSettings, *words: str) -> str:
    """The error in one line. Without a mistake in `given` it is about the run, which does not exist."""
    settings = load_train(compose(CONFIGS, "train", list(words)))
    with pytest.raises((ConfigError, DataError)) as raised:
        show_attention(given, settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"two.de": "ein Haus\nja\n", "two.en": "a house\nyes\n", "one.en": "yes\n", "none": ""}.items():
        Path(name).write_text(text)
    Path("two.wa").write_text("0-0 1-1\n0-0\n")
    Path("far.wa").write_text("0-0\n0-1\n")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sentences": 0}, "sentences=0: expected 1 or more"),
        ({"pictures": -1}, "pictures=-1: expected 0 or more"),
        ({"page": -1}, "page=-1: expected 0 or more"),
        ({"target": "two.en"}, "target=two.en: give the sources it belongs to, line for line, with input=FILE"),
        ({"input": "two.de", "gold": "two.wa"}, "gold=two.wa: its links belong to given targets; give them with"),
        ({"input": "two.de", "reverse": "two.wa"}, "reverse=two.wa: its links belong to given targets; give them with"),
        ({"input": "two.de", "target": "two.en", "reverse": "none"}, "reverse=none has 0 lines but there are 2"),
        ({"input": "two.de", "target": "two.en", "reverse": "two.en"}, "two.en, line 1: expected links of words"),
        (
            {"input": "two.de", "target": "two.en", "reverse": "far.wa"},
            "reverse=far.wa, line 2: link 0-1 is outside of 1",
        ),
        ({"input": "two.de", "output": "."}, "output=. contains the input texts, which might be overwritten: choose"),
        ({"input": "tow.de"}, "tow.de does not exist: did you mean 'two.de'?"),
        ({"input": "none"}, "none is empty; give a file with one sentence per line"),
        ({"input": "two.de", "target": "one.en"}, "two.de has 2 lines but one.en has 1"),
        ({"input": "two.de", "target": "two.en", "gold": "one.en"}, "one.en has 1 lines but there are 2 sentence"),
        (
            {"input": "two.de", "target": "two.en", "gold": "far.wa"},
            "far.wa, line 2: link 0-1 is outside of 1",
        ),
    ],
)
def test_unusable_arguments_are_refused(given: dict[str, Any], message: str) -> None:
    assert refusal(script(**given)).startswith(message)


def test_a_run_without_attention_has_nothing_to_show() -> None:
    assert refusal(script(), "attention=none") == "run mine has attention=none: it has no weights to show"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "test"),
        ({"split": "valid", "checkpoint": "last"}, "valid-last"),
        ({"input": "texts/news.de"}, "news.de"),
        ({"input": "news.de", "target": "news.en"}, "news.de-forced"),
        ({"changed": {"search.beam_size": 1, "data.root": "a"}}, "test-search.beam_size=1-data.root=a"),
    ],
)
def test_folder_name_contains_the_changed_settings(given: dict[str, Any], name: str) -> None:
    assert result_name(script(**given)) == name
