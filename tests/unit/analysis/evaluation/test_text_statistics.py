"""Statistics of texts relative to sources and references, compared with counts by hand."""

import pytest

from seq2seq.analysis.evaluation.text_statistics import compare_texts, describe

SOURCES = ["The cat sat on the mat.\nTom saw the cat at 9.", "a b c d e f"]
REFERENCES = [("Then Tom saw a cat", "cats at 9"), ("a c", "b d")]
TEXTS = ["The cat saw Tom and Bob at 9", "a b c a b c"]  # 8 and 6 words of 13 and 6


def test_counted_by_hand() -> None:
    found = describe(TEXTS, SOURCES, REFERENCES)
    assert found == pytest.approx(
        {
            "novel_1grams": (2 / 8 + 0) / 2,  # and, Bob
            "novel_2grams": (5 / 7 + 1 / 3) / 2,  # all but the cat and at 9; c a of a b, b c, c a
            "novel_3grams": (6 / 6 + 2 / 3) / 2,
            "novel_4grams": (5 / 5 + 3 / 3) / 2,
            "copy_rate": (6 / 8 + 1) / 2,
            "copy_density": ((4 + 1 + 1 + 4) / 8 + (9 + 9) / 6) / 2,
            "repeated_3grams": (0 + 1 / 4) / 2,
            "words": 7,
            "length_to_references": 14 / (4 + 2),
            "length_to_source": 14 / (12 + 6),
            "names_precision": 2 / 3,  # Tom, 9 and Bob
        }
    )


def test_references_have_the_same_statistics_as_the_output() -> None:
    found = compare_texts(TEXTS, SOURCES, REFERENCES)
    output, references = found["output"], found["references"]
    assert list(output) == list(references)
    assert output["names_recall"] == 1  # Tom and 9
    assert references["names_recall"] is None
    assert references["names_precision"] == 1
    assert references["words"] == (5 + 3 + 2 + 2) / 4
    assert references["length_to_references"] == 1
    assert references["length_to_source"] == pytest.approx(12 / (2 * 12 + 2 * 6))
    assert references["copy_rate"] == pytest.approx((3 / 5 + 2 / 3 + 1 + 1) / 4)


def test_empty_texts_have_no_shares_but_a_length() -> None:
    found = describe(["", ""], SOURCES, [("x",), ("y",)])
    assert {name for name, value in found.items() if value is not None} == {
        "words",
        "length_to_references",
        "length_to_source",
    }
    assert found["words"] == 0
    assert describe(["x"], [""], [("",)])["length_to_source"] is None


def test_words_of_other_scripts_count() -> None:
    found = describe(["我爱北京"], ["我爱上海和北京"], [("我爱",)])
    assert (found["novel_1grams"], found["novel_2grams"], found["words"]) == (0, 1 / 3, 4)
