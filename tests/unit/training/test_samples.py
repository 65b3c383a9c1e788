"""Sample outputs in TensorBoard's text page look as the model wrote them."""

import html

import markdown
import pytest

from seq2seq.training.samples import literal, samples_table


@pytest.mark.parametrize(
    "text",
    [
        "ein Mann",
        "a | b",
        "*stars* and _lines_",
        "<script>&amp;</script>",
        "`code` [a](b) # 1. - + !",
        "\\ 漢字 ▁x",
        "1*2*3",
    ],
)
def test_markdown_shows_the_text_as_it_is(text: str) -> None:
    shown = markdown.markdown(samples_table(["source", "output"], [["x", text]]), extensions=["tables"])
    cell = shown.rpartition("<td>")[2].partition("</td>")[0]
    assert html.unescape(cell) == text
    assert "<" not in cell


@pytest.mark.parametrize(
    ("text", "shown"), [("", "–"), (" \n ", "–"), ("a\nb\tc", "a b c")], ids=["empty", "blank", "lines"]
)
def test_a_cell_is_one_line_and_never_empty(text: str, shown: str) -> None:
    assert literal(text) == shown


def test_a_row_has_a_cell_a_title() -> None:
    table = samples_table(["source", "reference", "output"], [["a", "b", "c"], ["d", "e", "f"]])
    assert table.split("\n") == [
        "| source | reference | output |",
        "| --- | --- | --- |",
        "| a | b | c |",
        "| d | e | f |",
    ]
