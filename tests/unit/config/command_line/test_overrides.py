"""Single words of the command line: split, kept as text, quoted for Hydra and for the shell."""

import shlex
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.command_line.overrides import (
    Value,
    as_text,
    for_shell,
    pieces,
    quoted,
    read_value,
    take_apart,
    wants_text,
)
from seq2seq.config.hydra_adapter import parse

PRINTABLE = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30).filter(lambda text: "${" not in text)


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("a.b=1", ("", "a.b", "1")),
        ("a=b=c", ("", "a", "b=c")),
        ("+a=1", ("+", "a", "1")),
        ("++a=1", ("++", "a", "1")),
        ("~a", ("~", "a", None)),
        ("a=", ("", "a", "")),
        ("word", ("", "word", None)),
    ],
)
def test_words_are_split(typed: str, parts: tuple[str, str, str | None]) -> None:
    word = take_apart(typed)
    assert (word.prefix, word.key, word.value) == parts


@given(PRINTABLE)
def test_quoted_text_reaches_hydra_unchanged(text: str) -> None:
    override = parse(f"key={quoted(text)}")
    assert override is not None
    assert str(override.value()) == text
    assert not override.is_sweep_override()


@given(PRINTABLE)
def test_text_shown_for_the_shell_is_read_by_hydra(text: str) -> None:
    [word] = shlex.split(for_shell("key", text))
    override = parse(word)
    assert override is not None
    assert str(override.value()) == text


WORDS = [
    "7",
    "-1",
    "+2",
    "007",
    "1_000",
    "1e3",
    "-2.5E-3",
    ".5",
    "1.",
    "1.2.3",
    "true",
    "True",
    "null",
    "NULL",
    "nan",
    "Inf",
]
WORDS += [
    "a",
    "a-b",
    "a/b.c",
    "/x",
    "./x",
    "..",
    "-",
    "a b",
    "",
    " ",
    "é",
    "9" * 400,
    "1e999",
    "0x1f",
    "it's",
    "a:b",
    "$a",
    "${a}",
]
WORDS += ["'a'", '"a"', "'a", "'\\'", r"'\''", r"'a\\'", r"""'a\"b'""", r"'a\b'", r"'\\\''", "'a' b", "'${a}'", r"\,"]
WORDS += [
    "f(x)",
    "choice(1,2)",
    "range(1,3)",
    "a,b",
    "1,",
    "{a: 1}",
    "{}",
    "[[1],[2]]",
    "[a,b],[c]",
    "[",
    "[1 2]",
    "[,]",
]


TYPED = st.one_of(
    st.sampled_from(WORDS),
    st.lists(st.sampled_from(WORDS), max_size=3).map(lambda words: f"[{', '.join(words)}]"),
    st.text("01-+.eE_ab/ ,[]'\"\\", max_size=8),
)


@given(TYPED)
@settings(max_examples=400)
def test_values_are_read_as_hydra_reads_them(typed: str) -> None:
    override, found = parse(f"key={typed}"), read_value(typed)
    assert (found is None) == (override is None)
    if override is not None and found is not None:
        assert found.several == override.is_sweep_override()
        assert found.several or repr(found.data) == repr(override.value())


@pytest.mark.parametrize(
    "typed", ["7", "1e3", "007", "null", "true", "a=b", "a b", "#1", "~/x", "f(x)", "[a", "a,b", "", " x ", "x\\"]
)
def test_text_is_unchanged(typed: str) -> None:
    assert read_value(as_text(typed)) == Value(typed)


def test_text_already_quoted_for_hydra_is_unchanged() -> None:
    assert as_text("'a=b'") == "'a=b'"
    assert as_text('"a b"') == '"a b"'
    assert as_text("${seed}") == "${seed}"
    assert as_text("'a' b 'c'") == r"'\'a\' b \'c\''"


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "7", True),
        (str, "null", True),
        (str | None, "null", False),
        (str | None, "7", True),
        (str | list[str], "[a,b]", False),
        (str | list[str], "a,b", True),
        (int, "7", False),
        (int | None, "x", False),
        (Literal["a"], "a", False),
        (Literal["a"] | None, "a", False),
        (dict[str, str], "{a: b}", False),
        (list[str], "a", False),
        (Sequence[str], "[a]", False),
        (str | Sequence[str], "[a]", False),
        (Any, "7", False),
    ],
)
def test_keys_that_take_text(annotation: Any, value: str, expected: bool) -> None:
    assert wants_text(annotation, value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("007, 1e3", ["007", "1e3"]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("it's,b", ["it's", "b"]),
        ("x=1,y", ["x=1", "y"]),
        ("range(1,4)", ["1", "2", "3"]),
        ("choice(a,b)", ["a", "b"]),
        ("", [""]),
    ],
)
def test_a_sweep_is_split_into_its_values(value: str, expected: list[str]) -> None:
    assert pieces(value) == expected
