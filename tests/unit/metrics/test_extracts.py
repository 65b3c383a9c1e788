"""Baselines of source sentences: which sentences, and that a seed repeats its draws."""

import pytest

from seq2seq.metrics.extracts import USUAL, extract

DIALOGUE = "#Person1#: Hi, Mr. Smith. Why are you here?\n#Person2#: A check-up.\n\n#Person1#: Good!"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("lead-1", DIALOGUE, "#Person1#: Hi, Mr. Smith."),
        ("lead-3", DIALOGUE, "#Person1#: Hi, Mr. Smith.\nWhy are you here?\n#Person2#: A check-up."),
        ("lead-9", "One. Two.", "One.\nTwo."),
        ("random-9", "One. Two.", "One.\nTwo."),
        ("lead-2", "他来了。她走了。", "他来了。\n她走了。"),
        ("lead-1", "", ""),
        ("random-1", " \n", ""),
    ],
)
def test_sentences_of_the_source(name: str, source: str, expected: str) -> None:
    assert extract(name, [source]) == [expected]


def test_random_sentences_are_distinct_and_in_source_order() -> None:
    sources = ["\n".join(f"{first}{digit}" for digit in range(10)) for first in range(1, 40)]
    drawn = [[int(line) for line in text.split("\n")] for text in extract("random-3", sources)]
    assert all(len(set(numbers)) == 3 and numbers == sorted(numbers) for numbers in drawn)
    assert all(set(map(str, numbers)) <= set(text.split("\n")) for numbers, text in zip(drawn, sources, strict=True))
    assert {number % 10 for numbers in drawn for number in numbers} == set(range(10))


def test_the_same_seed_draws_the_same_sentences() -> None:
    sources = [DIALOGUE] * 20
    assert extract("random-1", sources) == extract("random-1", sources)
    assert extract("random-1", sources) != extract("random-1", sources, seed=1)


def test_the_usual_baselines_exist() -> None:
    assert [len(extract(name, [DIALOGUE])[0].split("\n")) for name in USUAL] == [1, 3, 3]


@pytest.mark.parametrize("name", ["lead", "lead-0", "lead-x", "first-3", "random-", "lead-3 "])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected lead-K or random-K, such as lead-3, got {name}"):
        extract(name, [DIALOGUE])
