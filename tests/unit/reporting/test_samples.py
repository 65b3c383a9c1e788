"""Sample outputs in TensorBoard's text page are shown as the model wrote them."""

import html
import re

import markdown
import pytest

from seq2seq.reporting.samples import LONGEST, literal, samples_page


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
def test_markdown_shows_the_text_unchanged(text: str) -> None:
    [[source, output]] = items(samples_page(["source", "output"], [["x", text]]))
    assert (source, output) == ("source: x", f"output: {text}")


def items(page: str) -> list[list[str]]:
    """The items of each list of a page, as a browser shows them; they may contain only our own markup."""
    found = []
    for part in markdown.markdown(page, extensions=["tables"]).split("<ul>")[1:]:
        texts = re.findall("<li>(.*?)</li>", part.partition("</ul>")[0], flags=re.DOTALL)
        plain = [re.sub("</?(strong|em|p)>", "", text).strip() for text in texts]
        assert not any("<" in text for text in plain)
        found.append([html.unescape(text) for text in plain])
    return found


@pytest.mark.parametrize(
    ("text", "shown"), [("", "–"), (" \n ", "–"), ("a\nb\tc", "a b c")], ids=["empty", "blank", "lines"]
)
def test_a_cell_is_one_line_and_never_empty(text: str, shown: str) -> None:
    assert literal(text) == shown


def test_a_sample_is_a_list_with_one_item_per_text() -> None:
    page = samples_page(["source", "target", "output"], [["a", "b", "c"], ["d", "e", ""]])
    assert items(page) == [
        ["source: a", "target: b", "output: c"],
        ["source: d", "target: e", "output: –"],
    ]
    assert "|" not in page  # no table: its columns would share the width


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a" * LONGEST, LONGEST),
        ("a" * (LONGEST + 1), LONGEST),
        ("word " * 1000, LONGEST - 1),
        ("漢" * 5000, LONGEST),
    ],
)
def test_a_long_text_is_cut_and_its_length_given(text: str, kept: int) -> None:
    [[output]] = items(samples_page(["output"], [[text]]))
    shown, _, length = output.removeprefix("output: ").partition(" … ")
    assert shown == text[:kept].strip()
    assert length == ("" if len(text) <= LONGEST else f"({len(text):,} characters)")
