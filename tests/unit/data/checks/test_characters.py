"""Classes of characters, signs of wrong conversions, and texts as code points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.checks.characters import (
    CONTROL,
    DIGIT,
    DIRECTION,
    LETTER,
    MARK,
    MARKUP,
    OTHER,
    PRIVATE,
    REPLACEMENT,
    SPACE,
    UNASSIGNED,
    ZERO_WIDTH,
    Characters,
    Codes,
    kind_of,
    mojibake,
    script_of,
)


@pytest.mark.parametrize(
    ("letters", "kind"),
    [
        ("aäßжあ猫가ا", LETTER),
        ("0९٣", DIGIT),
        (" \t\n\u00a0\u3000\u202f", SPACE),
        (".,–€'\u0301\u200d\u200c😀", OTHER),  # joiners and marks belong to scripts and to emoji
        ("\x00\x1b\x7f\x85\r", CONTROL),
        ("\ufffd", REPLACEMENT),
        ("\ue000\U000f0000", PRIVATE),
        ("\u0378\uffff", UNASSIGNED),
        ("\u202e\u2066\u200f", DIRECTION),
        ("\u200b\u2060\u00ad", ZERO_WIDTH),
        ("\ufeff", MARK),
    ],
)
def test_each_character_has_one_class(letters: str, kind: int) -> None:
    assert {kind_of(ord(letter)) for letter in letters} == {kind}
    codes = Codes.of([letters])
    assert set(Characters().meet(codes.codes)[:-1].tolist()) == {kind}


@pytest.mark.parametrize(
    ("letter", "script"),
    [("a", "LATIN"), ("Ж", "CYRILLIC"), ("猫", "CJK"), ("ね", "CJK"), ("ネ", "CJK"), ("가", "HANGUL")],
)
def test_scripts(letter: str, script: str) -> None:
    assert script_of(letter) == script


@pytest.mark.parametrize("text", ["Mädchen", "“quoted”", "naïve café", "привет", "straße – 5 €", "šéf"])
def test_text_that_was_read_wrongly_is_found_and_the_right_one_is_not(text: str) -> None:
    assert list(mojibake(_wrong(text)))
    assert not list(mojibake(text))


def _wrong(text: str) -> str:
    """The text's UTF-8 read as Windows-1252, with Latin-1 for the bytes that this does not have."""
    letters = []
    for byte in text.encode():
        try:
            letters.append(bytes([byte]).decode("cp1252"))
        except UnicodeDecodeError:
            letters.append(bytes([byte]).decode("latin-1"))
    return "".join(letters)


@pytest.mark.parametrize("text", ["« CAFÉ »", "NÃO", "À la carte", "Ångström", "5 Å", "Â quoi", "Ð and Ñ", "MAÇÃ"])
def test_letters_that_mojibake_begins_with_are_no_sign_by_themselves(text: str) -> None:
    assert list(mojibake(text)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("a &amp; b", True), ("&#39;s", True), ("a<br />b", True), ("<b>", True), ("R&B; x", False), ("a < b > c", False)],
)
def test_markup(text: str, found: bool) -> None:
    assert bool(MARKUP.search(text)) is found


@given(st.lists(st.text(max_size=8), min_size=1, max_size=8))
def test_sums_are_those_of_each_text(texts: list[str]) -> None:
    codes = Codes.of(texts)
    values = codes.codes.astype(np.int64)
    assert codes.sums(values).tolist() == [sum(map(ord, text)) for text in texts]
    places = np.concatenate([np.arange(start, end) for start, end in zip(codes.starts, codes.ends, strict=True)])
    assert codes.rows(places).tolist() == [row for row, text in enumerate(texts) if text]
