"""The form in which answers are compared: SQuAD's, and each of its steps."""

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.metrics.answers import AnswerForm

SQUAD: dict[str, Any] = {
    "lowercase": True,
    "remove_punctuation": "ascii",
    "remove_articles": ["a", "an", "the"],
    "join_spaces": True,
}


def form(**changed: Any) -> AnswerForm:
    return AnswerForm("exact_match", **{**SQUAD, **changed})


@pytest.mark.parametrize(
    ("text", "changed", "expected"),
    [
        ("The Eiffel Tower.", {}, "eiffel tower"),
        ("  in\tan\n old   house ", {}, "in old house"),
        ("theatre banana an", {}, "theatre banana"),  # only whole words are articles
        ("$5,000 (about)", {}, "5000 about"),
        ("don't", {}, "dont"),
        ("the-a", {}, "thea"),  # punctuation is removed before articles, and leaves no space
        ("a", {}, ""),
        ("«Paris», 東京。", {}, "«paris» 東京。"),  # only ASCII
        ("«Paris», 東京。", {"remove_punctuation": "unicode"}, "paris 東京"),
        ("1 + 1 = 2", {"remove_punctuation": "unicode"}, "1 1 2"),  # ASCII symbols, as in SQuAD
        ("5 €", {"remove_punctuation": "unicode"}, "5 €"),  # a symbol beyond ASCII is no punctuation
        ("A.B.", {"remove_punctuation": "none"}, ".b."),  # the dot ends the word a
        ("The End", {"lowercase": False}, "The End"),  # 'The' is not 'the'
        ("the End", {"lowercase": False}, "End"),
        ("der Hund the dog", {"remove_articles": ["der", "die", "das"]}, "hund the dog"),
        ("the dog", {"remove_articles": []}, "the dog"),
        ("the  dog ", {"join_spaces": False}, "   dog "),  # the article became a space
    ],
)
def test_by_hand(text: str, changed: dict[str, Any], expected: str) -> None:
    assert form(**changed)(text) == expected


def squad(text: str) -> str:
    """The four steps of the paper's script, one after the other."""
    lowered = text.lower()
    bare = "".join(letter for letter in lowered if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@given(st.text(alphabet=st.sampled_from([*"aAnNtThHeE .,-'!\n\t", "é", "東", "\u00a0"])))
def test_the_default_is_squads(text: str) -> None:
    assert form()(text) == squad(text)


def test_signatures() -> None:
    assert form().signature() == "case:lc|punct:ascii-removed|articles:a+an+the-removed|space:single"
    other = form(lowercase=False, remove_punctuation="none", remove_articles=[], join_spaces=False)
    assert other.signature() == "case:mixed|punct:kept|articles:kept|space:kept"


@pytest.mark.parametrize("word", ["", "l'", "of the", "a|b"])
def test_articles_are_single_words(word: str) -> None:
    with pytest.raises(ValueError, match=r"^metrics.exact_match.remove_articles: expected single words, got "):
        form(remove_articles=["the", word])
