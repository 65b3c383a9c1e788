"""Mistakes in gold links are reported with their line; error rates follow Och and Ney's definition."""

from pathlib import Path

import pytest

from seq2seq.analysis.attention.alignment_error import Gold, alignment_error, read_gold
from seq2seq.data.text import read_lines
from seq2seq.errors import DataError


def gold(sure: set[tuple[int, int]], possible: set[tuple[int, int]]) -> Gold:
    return Gold(frozenset(sure), frozenset(sure | possible))


def test_sure_and_possible_links_in_either_notation(tmp_path: Path) -> None:
    path = tmp_path / "gold"
    path.write_text("0-0 1?2 2p1\n\n10-0\n")
    assert read_gold(path, [(3, 3), (4, 4), (11, 1)]) == [
        gold({(0, 0)}, {(1, 2), (2, 1)}),
        gold(set(), set()),
        gold({(10, 0)}, set()),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n1:1\n", "line 2: '1:1' is not a link; write i-j for a sure one, i?j or ipj for a possible one"),
        ("0-0\n-1-1\n", "line 2: '-1-1' is not a link"),
        ("0-0\n0-²\n", "line 2: '0-²' is not a link"),
        ("0-0\n2-0\n", "line 2: link 2-0 is outside of 2 source and 1 target words, counted from 0; links are"),
        ("0-3 0-0\n0-1\n", "line 1: link 0-3 is outside of 1 source and 3 target words, counted from 0 (1 more are);"),
        ("0-0\n", "has 1 lines but there are 2 sentence pairs"),
        ("0-0\n0-0\n0-0\n", "has 3 lines but there are 2 sentence pairs"),
    ],
)
def test_mistakes_in_gold_links_are_reported_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "links.txt"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        read_gold(path, [(1, 3), (2, 1)])
    assert "links.txt" in str(raised.value)
    assert message in str(raised.value)


def test_single_bad_link_is_reported_and_counts_as_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "links.txt"
    path.write_text("0-0\n" * 150 + "0-7\n")
    right = read_gold(path, [(1, 1)] * 151)
    assert caplog.messages == [
        f"{path}, line 151: link 0-7 is outside of 1 source and 1 target words, counted from 0: it counts as missed"
    ]
    assert alignment_error([[(0, 0)]] * 151, right).recall == 150 / 151


def test_a_missing_file_of_gold_links(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gold\.wa does not exist"):
        read_gold(tmp_path / "gold.wa", [(1, 1)])


def test_error_rates_by_hand() -> None:
    """|A| = 4, |S| = 3, |P| = 5; A n S = {0-0, 1-1}, A n P = {0-0, 1-1, 0-2}."""
    right = [gold({(0, 0), (1, 1)}, {(2, 1)}), gold({(3, 3)}, {(0, 2)})]
    found = alignment_error([[(0, 0), (1, 1), (2, 2)], [(0, 2)]], right)
    assert (found.found, found.sure, found.possible) == (4, 3, 5)
    assert found.precision == pytest.approx(3 / 4)
    assert found.recall == pytest.approx(2 / 3)
    assert found.aer == pytest.approx(1 - (2 + 3) / (4 + 3))


def test_error_rate_of_sure_links_is_one_minus_f1() -> None:
    right = [gold({(0, 0), (1, 1), (2, 2)}, set())]
    found = alignment_error([[(0, 0), (1, 2)]], right)
    f1 = 2 * found.precision * found.recall / (found.precision + found.recall)
    assert found.aer == pytest.approx(1 - f1)


@pytest.mark.parametrize(
    ("links", "right", "expected"),
    [
        ([(0, 0)], gold({(0, 0)}, set()), (1.0, 1.0, 0.0)),
        ([], gold({(0, 0)}, set()), (1.0, 0.0, 1.0)),
        ([(0, 0)], gold(set(), set()), (0.0, 1.0, 1.0)),
        ([(0, 0)], gold(set(), {(0, 0)}), (1.0, 1.0, 0.0)),
        ([], gold(set(), set()), (1.0, 1.0, 0.0)),
    ],
)
def test_perfect_empty_and_wrong(
    links: list[tuple[int, int]], right: Gold, expected: tuple[float, float, float]
) -> None:
    found = alignment_error([links], [right])
    assert (found.precision, found.recall, found.aer) == expected


@pytest.mark.corpus
def test_german_english_links_have_one_bad_link(data_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = data_root / "alignment-de-en"
    sources, targets = ([line.split() for line in read_lines(folder / f"test.{side}")] for side in ("de", "en"))
    assert sources[0][:2] == ["herr", "präsident"]  # without the byte-order mark
    found = read_gold(folder / "de-en.wa", [*zip(map(len, sources), map(len, targets), strict=True)])
    assert sum(len(gold.sure) for gold in found) == 1233
    assert [message.partition(", ")[2] for message in caplog.messages] == [
        "line 63: link 12-16 is outside of 13 source and 13 target words, counted from 0: it counts as missed"
    ]
