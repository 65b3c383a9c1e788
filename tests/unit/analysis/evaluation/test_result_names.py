"""File names of results: short, and different for different settings."""

from typing import Any

import pytest

from seq2seq.analysis.evaluation.result_names import DIGEST, LONGEST, file_name, value_text


def test_values_are_short() -> None:
    assert [value_text(one) for one in (None, [], ["a", 1], 0.5, True)] == ["null", "none", "a+1", "0.5", "True"]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "test"),
        ({"search.beam_size": 1}, "test-search.beam_size=1"),
        ({"search": "greedy", "search.max_length": 9}, "test-search=greedy-search.max_length=9"),
        ({"metrics": "summarization"}, "test-metrics=summarization"),
        ({"metrics.bleu.tokenize": "zh"}, "test-metrics.bleu.tokenize=zh"),
        ({"data.locale": "fr", "precision": "bf16"}, "test-precision=bf16-data.locale=fr"),
        ({"search.types": ["rouge1", "rougeL"]}, "test-search.types=rouge1+rougeL"),
    ],
)
def test_each_setting_is_a_word(changed: dict[str, Any], name: str) -> None:
    assert file_name(["test"], changed) == name


@pytest.mark.parametrize("value", ["a/b", "a\nb", "two words", "ä" * 300, "\x1b[0m", "\x00", "*", "C:\\x"])
def test_values_not_allowed_in_a_name_are_hashed(value: str) -> None:
    name, other = (file_name(["test"], {"data.root": text}) for text in (value, f"other/{value}"))
    assert name != other
    assert name.startswith("test")
    assert len(name.encode()) <= LONGEST
    assert name.isprintable()
    assert not set("/\\ \n*:") & set(name)


def test_long_name_drops_sections_first() -> None:
    changed = {
        "search": "minimum_risk",
        "search.no_repeat_ngram": 3,
        "search.length_penalty": 1.5,
        "search.samples": 64,
    }
    found = file_name(["test"], {**changed, "search.types": ["rouge1", "rougeL"]})
    assert found == "test-search=minimum_risk-length_penalty=1.5-no_repeat_ngram=3-samples=64-types=rouge1+rougeL"


def test_a_long_name_ends_with_a_whole_word_and_a_hash() -> None:
    changed = {f"search.key_{number}": number for number in range(30)}
    name, other = file_name(["test"], changed), file_name(["test"], {**changed, "search.key_29": 0})
    assert name != other
    first, *words, digest = name.split("-")
    assert (first, len(digest), set(digest) - set("0123456789abcdef")) == ("test", DIGEST, set())
    every = [f"{key.removeprefix('search.')}={changed[key]}" for key in sorted(changed)]
    assert words == every[: len(words)]
    assert len(name) <= LONGEST < len(name) + len(f"-{every[len(words)]}"), "as many words as fit"
