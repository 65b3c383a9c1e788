"""Every piece is assigned to its word, also with normalisation, byte fallback and unusual spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_text import sentences, settings

from seq2seq.analysis.attention.alignment_words import Segmented, segment, segment_written
from seq2seq.tokenizer import Vocabulary

WHOLE = 10_000  # longer than any text here


def vocabulary(**given: object) -> Vocabulary:
    return settings(**given).train(sentences(300), sentences(300, seed=1)).source


BYTES = vocabulary()
NORMALISED = vocabulary(normalization="nmt_nfkc")
UNKNOWN = vocabulary(byte_fallback=False, vocab_size=120)
TEXTS = st.text(st.sampled_from([*"kaloteru   \u00a0\u3000\n\tä½ﬁ①漢🙂\u0301\u200b▁.<"]), max_size=24)


def written(found: Segmented, of: Vocabulary) -> list[tuple[str, list[str]]]:
    """Each word with its pieces."""
    pairs = zip(found.words, found.pieces, strict=True)
    return [(word, [of.piece(found.ids[position]) for position in pieces]) for word, pieces in pairs]


@pytest.mark.parametrize(
    ("of", "text", "expected"),
    [
        (BYTES, "kalo mi", [("kalo", ["▁ka", "lo"]), ("mi", ["▁mi"])]),
        (BYTES, " kalo   mi ", [("kalo", ["▁ka", "lo"]), ("mi", ["▁mi"])]),
        (NORMALISED, " kalo   mi ", [("kalo", ["▁ka", "lo"]), ("mi", ["▁mi"])]),
        (BYTES, "ka 漢ka", [("ka", ["▁ka"]), ("漢ka", ["▁", "<0xE6>", "<0xBC>", "<0xA2>", "ka"])]),
        (NORMALISED, "ka ½", [("ka", ["▁ka"]), ("½", ["▁", "<0x31>", "<0xE2>", "<0x81>", "<0x84>", "<0x32>"])]),
        (NORMALISED, "ka\u00a0lo", [("ka", ["▁ka"]), ("lo", ["▁lo"])]),
        (NORMALISED, "\u200b ka", [("\u200b", []), ("ka", ["▁ka"])]),
        (UNKNOWN, "ka x漢 lo", [("ka", ["▁ka"]), ("x漢", ["▁", "<unk>"]), ("lo", ["▁lo"])]),
        (BYTES, "", []),
        (BYTES, "  ", []),
    ],
)
def test_the_pieces_of_each_word(of: Vocabulary, text: str, expected: list[tuple[str, list[str]]]) -> None:
    assert written(segment(of, [text], WHOLE)[0], of) == expected


@pytest.mark.parametrize("of", [BYTES, NORMALISED, UNKNOWN], ids=["bytes", "normalised", "unknown"])
@given(text=TEXTS)
def test_words_are_those_of_the_text_and_pieces_are_in_order(of: Vocabulary, text: str) -> None:
    (found,) = segment(of, [text], WHOLE)
    assert found.words == text.split()
    assert found.ids == of.encode([text])[0]
    order = [position for pieces in found.pieces for position in pieces]
    assert order == sorted(order)
    assert all(0 <= position < len(found.ids) for position in order)


@pytest.mark.parametrize("of", [BYTES, UNKNOWN], ids=["bytes", "unknown"])
@given(text=TEXTS)
def test_without_normalisation_every_word_has_pieces(of: Vocabulary, text: str) -> None:
    (found,) = segment(of, [text], WHOLE)
    assert all(found.pieces)


@given(text=TEXTS)
def test_pieces_of_a_word_decode_to_it(text: str) -> None:
    """Decoded alone, the pieces of a word give the word and at most spaces around it."""
    text = text.replace("▁", "")
    (found,) = segment(BYTES, [text], WHOLE)
    for word, pieces in zip(found.words, found.pieces, strict=True):
        (alone,) = BYTES.decode([[found.ids[position] for position in pieces]])
        # A no-break space before the word may be three byte pieces, the last of which ends where the word begins.
        assert alone.strip("\ufffd \n\t\u00a0\u3000") == word


@pytest.mark.parametrize("of", [BYTES, NORMALISED, UNKNOWN], ids=["bytes", "normalised", "unknown"])
@given(data=st.data())
def test_output_of_search_is_assigned_to_the_words_of_its_text(of: Vocabulary, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(4, of.size - 1) | st.just(1), max_size=12))
    (found,) = segment_written(of, [ids])
    assert found.ids == ids
    assert found.text == of.decode([ids])[0]
    assert found.words == found.text.split()


def test_search_may_segment_a_word_differently_from_encoding() -> None:
    ids = [BYTES.processor.piece_to_id(piece) for piece in ("▁", "k", "a", "l", "o", "▁mi")]
    assert written(segment_written(BYTES, [ids])[0], BYTES) == [
        ("kalo", ["▁", "k", "a", "l", "o"]),
        ("mi", ["▁mi"]),
    ]


def test_truncated_words_have_no_pieces() -> None:
    (found,) = segment(BYTES, ["kalo mi ter"], 2)
    assert len(found.ids) == 2
    assert found.words == ["kalo", "mi", "ter"]
    assert found.pieces == [[0, 1], [], []]


def test_shares_of_a_piece_sum_to_one_or_zero() -> None:
    (found,) = segment(BYTES, ["ka   lo"], WHOLE)
    shares = found.membership()
    assert shares.shape == (len(found.ids) + 1, 3)
    assert set(shares.sum(1).tolist()) == {0.0, 1.0}
    assert shares[-1].tolist() == [0.0, 0.0, 1.0]
    over_both = Segmented("a\u00a0b", [7], ["a", "b"], [[0], [0]])
    assert over_both.membership().tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_no_text_has_no_words() -> None:
    assert segment(BYTES, [], WHOLE) == []
    assert segment_written(BYTES, []) == []
