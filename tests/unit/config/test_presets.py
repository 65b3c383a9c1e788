"""Which preset suits a text, what its headings apply to, and what it leaves alone."""

from pathlib import Path

import pytest

from seq2seq.config.presets import PresetFile, TextSize, left_alone, preset_for

CHOICES = {"encoder": "lstm", "decoder": "transformer", "tokenizer": "bpe"}


@pytest.mark.parametrize(
    ("pairs", "words", "preset"),
    [
        (0, 0, "tiny"),
        (2_000, 46_000, "tiny"),
        (15_000, 600_000, "tiny"),
        (15_001, 100_000, "small"),
        (12_460, 1_900_000, "small"),  # DialogSum
        (29_000, 667_000, "small"),  # Multi30k
        (60_000, 3_000_000, "small"),
        (60_001, 500_000, "medium"),
        (160_147, 2_070_000, "medium"),  # Tatoeba
        (50_000, 15_000_000, "medium"),
        (400_001, 1_000_000, "large"),
        (300_000, 200_000_000, "large"),
    ],
)
def test_preset_for_a_text(pairs: int, words: int, preset: str) -> None:
    assert preset_for(TextSize(pairs, words)) == preset


@pytest.mark.parametrize(
    ("heading", "applies"),
    [
        ("always", True),
        ("encoder=lstm", True),
        ("encoder=gru,lstm", True),
        ("encoder=gru", False),
        ("encoder=lst", False),
        ("encoder=lstm decoder=transformer", True),
        ("encoder=lstm decoder=lstm", False),
        ("pooling=none", False),
    ],
)
def test_heading_applies_where_all_its_choices_are_made(heading: str, applies: bool) -> None:
    assert PresetFile(Path("p"), {heading: {"a.b": 1}}).values(CHOICES) == ({"a.b": 1} if applies else {})


def test_later_heading_counts() -> None:
    file = PresetFile(
        Path("p"), {"always": {"a.b": 1, "a.c": 1}, "encoder=lstm": {"a.b": 2}, "encoder=gru": {"a.b": 3}}
    )
    assert file.values(CHOICES) == {"a.b": 2, "a.c": 1}


def test_mistakes_in_a_file_are_reported_with_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text("always: {a.b: 1}\nencodr=lstm: {a.b: 1}\ndecoder=lstm tokenizer: {a.b: 1}\nencoder=gru: 3\n")
    rest = "Groups: decoder, encoder, tokenizer"
    expected = "expected always, or choices such as decoder=lstm,gru, got"
    assert list(PresetFile.read(path).mistakes(CHOICES)) == [
        f"mine.yaml:2: {expected} 'encodr=lstm'; did you mean encoder? {rest}",
        f"mine.yaml:3: {expected} 'tokenizer'; did you mean tokenizer? {rest}",
        "mine.yaml:4: encoder=gru: expected keys with their values, got 3",
    ]


@pytest.mark.parametrize(
    ("key", "typed", "expected"),
    [
        ("encoder.dropout", [], False),
        ("encoder.dropout", ["encoder.dropout"], True),
        ("encoder.dropout", ["decoder.dropout", "encoder.drop", "encoder.dropout_more"], False),
        ("embedding.size", ["embedding"], True),
        ("search.max_length", ["search.max_length.a"], True),
        ("trainer.max_updates", ["trainer.max_minutes"], True),
        ("trainer.patience", ["trainer.max_epochs"], True),
        ("trainer.tokens_per_update", ["trainer.max_epochs"], False),
    ],
)
def test_what_is_typed_is_left_alone(key: str, typed: list[str], expected: bool) -> None:
    assert left_alone(key, typed) is expected
