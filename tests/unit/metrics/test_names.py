"""Names and numbers: what counts as one, and precision and recall computed by hand."""

import pytest

from seq2seq.metrics.names import named, precision, recall, tokens, widespread


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yesterday Tom met Ann.", {"Tom", "Ann"}),
        ("He left. Tom stayed! Ann too", set()),  # capitals at the start of a sentence
        ("Ask Mr. Smith and Dr. Lee", {"Mr", "Smith", "Dr", "Lee"}),
        ("#Person1#: Hello Tom\n#Person2#: Fine", {"Person1", "Person2", "Tom"}),
        ("so I said I'm A", set()),  # one letter is not a name
        ("at 10:30, 3.5 or 1,000 on the 2nd.", {"10:30", "3.5", "1,000", "2nd"}),
        ('He said: "Go to Rome"', {"Rome"}),
        ("the so-called \"Bob\" and O'Neil's", {"Bob", "Neil"}),
        ("auf der Straße", {"Straße"}),
        ("दिन १२ को", {"१२"}),
        ("在2024年", {"在2024年"}),
        ("", set()),
    ],
)
def test_what_is_a_name(text: str, expected: set[str]) -> None:
    assert named(text) == expected


def test_tokens_keep_their_case() -> None:
    assert tokens("Tom's tom, at 10:30.") == {"Tom", "s", "tom", "at", "10:30"}


SOURCES = [
    "#Person1#: I saw Tom and Ann at 9.\n#Person2#: Oh!",
    "#Person1#: Go to Rome.\n#Person2#: Paris, with Bob?",
    "#Person1#: no\n#Person2#: yes",
]
REFERENCES = [
    ("#Person1# saw Tom and Ann at 9", "They met Tom in Rome"),  # Tom, Ann, 9; Tom. Rome is not in this source
    ("Bob and Paris go to Rome",),  # Bob, a name in the source; Paris, Rome
    ("They say no",),
]


def test_precision_by_hand() -> None:
    texts = ["Then Tom met Bob at 9", "Paris, not Tom", ""]  # 2 of Tom, Bob, 9; 0 of Tom
    assert precision(texts, SOURCES) == 2 / 4


def test_recall_by_hand() -> None:
    texts = ["Tom came.", "#Person2# likes Paris and Rome.", ""]  # 1 of Tom, Ann, 9; 1 of Tom; 2 of 3
    assert recall(texts, SOURCES, REFERENCES) == (1 + 1 + 2) / 7


def test_speakers_do_not_count() -> None:
    assert widespread(SOURCES) == {"Person1", "Person2"}
    assert widespread(SOURCES[:1]) == set()  # one text cannot show what is widespread


def test_without_names_there_is_no_score() -> None:
    assert precision(["nothing"], ["Nor here"]) is None
    assert recall(["nothing"], ["Nor here"], [("or there",)]) is None
