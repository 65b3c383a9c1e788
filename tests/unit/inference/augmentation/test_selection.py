"""Which outputs become pairs: each filter, the order, duplicates, the nearest output."""

from dataclasses import replace
from typing import Any

import pytest

from seq2seq.config.schema import AugmentSettings
from seq2seq.inference.augmentation.outputs import Output, Translated
from seq2seq.inference.augmentation.selection import (
    COPY,
    DUPLICATE,
    EMPTY,
    RATIO,
    SCORE,
    TOO_LONG,
    Selection,
    one_line,
    similarity,
)
from seq2seq.types import Pair

SCRIPT = AugmentSettings(
    run="one",
    checkpoint="best",
    changed={},
    shortlist=None,
    ensemble=[],
    output="out",
    input=None,
    split="train",
    direction="forward",
    n_best=1,
    keep="all",
    metric="chrf",
    min_score=None,
    max_ratio=None,
    drop_copies=True,
    drop_duplicates=True,
    tag="",
    originals=True,
    merge=[],
)
GIVEN = Pair("ein Hund", "a dog")


def chosen(outputs: list[tuple[Any, ...]], *, tokens: int = 2, given: Pair = GIVEN, **keys: Any) -> tuple[list, dict]:
    """The pairs of one text and what was left out; an output is a text and, if given, its log_prob and its tokens."""
    selection = Selection(replace(SCRIPT, **keys))
    found = [Output(*(*one, *(-1.0, 3)[len(one) - 1 :])) for one in outputs]
    pairs = selection(given, Translated(tokens, found, None))
    return pairs, {reason: count for reason, count in selection.left_out.items() if count}


FILTERS = [
    ({}, ("a hound", -90.0, 90), None),
    ({}, ("",), EMPTY),
    ({}, (" \u2028 ",), EMPTY),
    ({}, ("ein Hund ",), COPY),
    ({"drop_copies": False}, ("ein Hund",), None),
    ({"min_score": -0.5}, ("a hound", -1.5, 3), None),  # the mean is the limit itself
    ({"min_score": -0.5}, ("a hound", -1.51, 3), SCORE),
    ({"max_ratio": 2.0}, ("a hound", -1.0, 5), None),  # 4 tokens without the end symbol, of 2
    ({"max_ratio": 2.0}, ("a hound", -1.0, 6), RATIO),
    ({"max_ratio": 2.0}, ("a", -1.0, 2), None),
    ({"max_ratio": 1.9}, ("a", -1.0, 2), RATIO),
]


@pytest.mark.parametrize(("keys", "output", "reason"), FILTERS)
def test_filters(keys: dict[str, Any], output: tuple[Any, ...], reason: str | None) -> None:
    pairs, left_out = chosen([output], **keys)
    assert (pairs == []) == (reason is not None)
    assert left_out == ({reason: 1} if reason else {})


def test_a_text_that_was_too_long_has_no_pair() -> None:
    assert chosen([]) == ([], {TOO_LONG: 1})


def test_the_output_is_the_source_in_the_backward_direction() -> None:
    assert chosen([("a hound",)], direction="backward")[0] == [("a hound", "ein Hund")]
    assert chosen([("a hound",)], direction="forward")[0] == [("ein Hund", "a hound")]


def test_all_or_the_best_output_that_passes_the_filters() -> None:
    outputs = [("",), ("a hound",), ("one dog",)]
    assert chosen(outputs, keep="all") == ([("ein Hund", "a hound"), ("ein Hund", "one dog")], {EMPTY: 1})
    assert chosen(outputs, keep="best") == ([("ein Hund", "a hound")], {EMPTY: 1})


@pytest.mark.parametrize("metric", ["chrf", "bleu"])
@pytest.mark.parametrize("given", [GIVEN, replace(GIVEN, target="nothing", references=("x", "a dog"))])
def test_the_nearest_output_is_kept(metric: str, given: Pair) -> None:
    outputs = [("some animal",), ("a dog",), ("a hound",)]
    assert chosen(outputs, keep="nearest", metric=metric, given=given)[0] == [("ein Hund", "a dog")]


def test_of_equally_near_outputs_the_more_likely_one_is_kept() -> None:
    assert chosen([("xx",), ("yy",)], keep="nearest")[0] == [("ein Hund", "xx")]


def test_similarity_of_a_sentence_is_that_of_sacrebleu() -> None:
    import sacrebleu

    text, reference = "a small dog runs", "a small brown dog runs"
    assert similarity("chrf")(text, [reference]) == sacrebleu.sentence_chrf(text, [reference]).score
    assert similarity("bleu")(text, [reference]) == sacrebleu.sentence_bleu(text, [reference]).score
    assert similarity("bleu")("a dog", ["a dog"]) == pytest.approx(100)  # with orders up to 2


def test_duplicates_are_left_out() -> None:
    assert chosen([("a dog",), ("a dog",)])[1] == {DUPLICATE: 1}
    assert chosen([("a dog",), ("a dog",)], drop_duplicates=False)[1] == {}
    assert chosen([("a dog",), ("a dog ",)])[1] == {}
    selection = Selection(SCRIPT)
    assert selection.is_new(("ein Hund", "a dog"))
    assert selection(GIVEN, Translated(2, [Output("a dog", -1.0, 3)], None)) == []
    assert selection.is_new(("ein", "Hund\na dog"))


@pytest.mark.parametrize("keep", ["best", "nearest"])
def test_a_chosen_output_that_is_there_already_is_not_replaced(keep: str) -> None:
    selection = Selection(replace(SCRIPT, keep=keep))
    assert selection.is_new(("ein Hund", "a dog"))
    outputs = [Output("a dog", -1.0, 3), Output("a hound", -2.0, 3)]
    assert selection(GIVEN, Translated(2, outputs, None)) == []
    assert selection.left_out[DUPLICATE] == 1


@pytest.mark.parametrize(
    ("text", "line"), [("a\nb", "a b"), ("a\r", "a"), ("a\n", "a "), ("a\u2028b", "a\u2028b"), ("\n\n", "  ")]
)
def test_texts_are_written_as_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_part_of_the_outputs_reads_back() -> None:
    found = Translated(3, [Output("ä\n\u2028\ud83d\ude42", -1.25, 4), Output("", -0.000001, 1)], "search.max_length")
    (line,) = found.line().split("\n")[:-1]
    assert Translated.read(line) == found
