"""Novel and repeated n-grams and copied fragments, counted by hand, and laws that hold for any text."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.metrics.copying import coverage, density, fragments, ngrams, novel_share, repeated_share

SOURCE = ["the", "police", "killed", "the", "gunman", "in", "the", "old", "town", "on", "monday"]
TEXTS = st.lists(st.sampled_from("abc"), max_size=12)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("the police killed the gunman", [0, 0, 0, 0]),
        ("police shot the gunman", [1 / 4, 2 / 3, 1, 1]),
        ("the town the town", [0, 1, 1, 1]),  # a repeated pair counts once: the town, town the
        ("gunman gunman gunman shot", [1 / 2, 1, 1, 1]),
        ("monday", [0, None, None, None]),
        ("", [None] * 4),
    ],
)
def test_novel_ngrams(text: str, shares: list[float | None]) -> None:
    assert [novel_share(text.split(), SOURCE, n) for n in (1, 2, 3, 4)] == shares


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("the police killed the gunman", [5]),
        ("the gunman killed the police", [2, 2, 1]),
        ("in town the gunman in the new town", [1, 1, 4, 1]),
        ("the old town on tuesday", [4]),
        ("cats sleep", []),
        ("", []),
        ("the the", [1, 1]),
    ],
)
def test_fragments(text: str, lengths: list[int]) -> None:
    words = text.split()
    assert fragments(words, SOURCE) == lengths
    assert coverage(words, SOURCE) == (sum(lengths) / len(words) if words else None)
    assert density(words, SOURCE) == (sum(n * n for n in lengths) / len(words) if words else None)


@pytest.mark.parametrize(
    ("text", "n", "share"),
    [
        ("a b c a b c", 3, 1 / 4),
        ("a a a a", 1, 3 / 4),
        ("a a a a", 3, 1 / 2),
        ("a b c d", 3, 0),
        ("a b", 3, None),
    ],
)
def test_repetitions(text: str, n: int, share: float | None) -> None:
    assert repeated_share(text.split(), n) == share


@given(TEXTS, TEXTS)
def test_laws_of_copying(text: list[str], source: list[str]) -> None:
    lengths = fragments(text, source)
    runs = {run for n in range(1, len(source) + 1) for run in ngrams(source, n)}
    place = 0
    for length in lengths:
        while (text[place],) not in runs:
            place += 1
        assert tuple(text[place : place + length]) in runs
        assert tuple(text[place : place + length + 1]) not in runs or place + length == len(text)
        place += length
    if text:
        assert coverage(text, source) == pytest.approx(sum(word in source for word in text) / len(text))
        assert novel_share(text, text, 1) == 0
        assert density(text, text) == len(text)


@given(TEXTS, st.integers(1, 4))
def test_ngrams_are_the_windows(text: list[str], n: int) -> None:
    assert ngrams(text, n) == [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]


@pytest.mark.parametrize("share", [coverage, density])
def test_an_empty_source_gives_nothing_to_copy(share: Callable[[list[str], list[str]], float | None]) -> None:
    assert share(["a", "b"], []) == 0
