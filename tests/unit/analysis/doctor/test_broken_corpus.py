"""A sound corpus has no findings; each way to break it has its own, with the lines concerned."""

from collections.abc import Callable
from pathlib import Path

import pytest
from broken_text import GERMAN, Sides, clean, found_lines, looked_at

Break = Callable[[dict[str, Sides]], None]


def put(split: str, side: int, line: int, text: str) -> Break:
    def broken(splits: dict[str, Sides]) -> None:
        splits[split][side][line - 1] = text

    return broken


def change(split: str, side: int, line: int, how: Callable[[str], str]) -> Break:
    def broken(splits: dict[str, Sides]) -> None:
        splits[split][side][line - 1] = how(splits[split][side][line - 1])

    return broken


def swap(*lines: int) -> Break:
    def broken(splits: dict[str, Sides]) -> None:
        source, target = splits["train"]
        for line in lines:
            source[line - 1], target[line - 1] = target[line - 1], source[line - 1]

    return broken


def repeat(line: int, split: str = "train") -> Break:
    def broken(splits: dict[str, Sides]) -> None:
        for side, given in zip(splits["train"], splits[split], strict=True):
            side.append(given[line - 1])

    return broken


def both_are(split: str, line: int, text: str) -> Break:
    def broken(splits: dict[str, Sides]) -> None:
        for side in splits[split]:
            side[line - 1] = text

    return broken


def shift(first: int, last: int) -> Break:
    """The target of line `first` is missing, and one too many stands at `last`."""

    def broken(splits: dict[str, Sides]) -> None:
        target = splits["train"][1]
        target.insert(last, "There is one line too many.")
        del target[first - 1]

    return broken


def mojibake(text: str) -> str:
    return text.replace("ä", "Ã¤").replace("ü", "Ã¼").replace("ö", "Ã¶")


CHINESE = "一群男人正在把棉花装上卡车然后他们离开了这个城市" * 2
SHORT = next(number for number, text in enumerate(clean()["valid"][1], start=1) if len(text) < 60)
WITH_UMLAUT = next(number for number, text in enumerate(GERMAN, start=1) if "ü" in text)

TABLE: list[tuple[str, list[Break], dict[tuple[str, str, str | None], tuple[int, ...]]]] = [
    ("nothing", [], {}),
    ("an empty target", [put("train", 1, 7, "")], {("empty", "train", None): (7,)}),
    ("white space", [put("valid", 0, 3, " \u3000\t")], {("empty", "valid", None): (3,)}),
    ("swapped pairs", [swap(5, 100, 333)], {("swapped", "train", None): (5, 100, 333)}),
    (
        "an untranslated text",
        [both_are("train", 9, GERMAN[8])],
        {("wrong-side", "train", "target"): (9,), ("copies", "train", None): (9,)},
    ),
    ("a copied name", [both_are("train", 9, "New York")], {}),
    ("a Chinese line", [put("train", 0, 12, CHINESE)], {("script", "train", "source"): (12,)}),
    (
        "a Chinese line in valid",
        [put("valid", 0, SHORT, CHINESE)],
        {("script", "valid", "source"): (SHORT,)},
    ),
    ("mojibake", [change("train", 0, WITH_UMLAUT, mojibake)], {("characters", "train", "source"): (WITH_UMLAUT,)}),
    ("U+FFFD", [change("train", 1, 4, lambda text: text + "\ufffd")], {("characters", "train", "target"): (4,)}),
    ("an escape sequence", [change("test", 1, 4, "\x1b[31m".__add__)], {("characters", "test", "target"): (4,)}),
    ("a mark inside", [change("train", 0, 4, "\ufeff".__add__)], {("characters", "train", "source"): (4,)}),
    ("a bidi control", [change("train", 0, 4, "\u202e".__add__)], {("characters", "train", "source"): (4,)}),
    ("private use", [change("train", 0, 4, "\ue000".__add__)], {("characters", "train", "source"): (4,)}),
    ("unassigned", [change("train", 0, 4, "\u0378".__add__)], {("characters", "train", "source"): (4,)}),
    ("zero width", [change("train", 0, 4, "\u200b".__add__)], {("characters", "train", "source"): (4,)}),
    ("HTML", [change("train", 1, 8, lambda text: text + " &amp; more")], {("characters", "train", "target"): (8,)}),
    ("a repeated pair", [repeat(3), repeat(77)], {("duplicates", "train", None): (541, 542)}),
    ("a test pair in train", [repeat(5, "test")], {("overlap-train", "test", None): (5,)}),
    ("a long side", [change("train", 1, 21, lambda text: " ".join([text] * 6))], {("ratio", "train", None): (21,)}),
    ("other digits", [put("train", 0, n, f"{GERMAN[n - 1]} {n}") for n in range(100, 130)], {}),
]


@pytest.mark.parametrize(("breaks", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_defect_is_found_at_its_lines(
    tmp_path: Path, breaks: list[Break], expected: dict[tuple[str, str, str | None], tuple[int, ...]]
) -> None:
    splits = {split: (list(sides[0]), list(sides[1])) for split, sides in clean().items()}
    for broken in breaks:
        broken(splits)
    assert found_lines(looked_at(tmp_path, splits).findings) == expected


def test_pairs_whose_digits_differ_are_named_where_most_agree(tmp_path: Path) -> None:
    splits = clean()
    for line in range(100, 130):
        for side in splits["train"]:
            side[line - 1] += f" {line}"
    splits["train"][1][119] += "7"
    assert found_lines(looked_at(tmp_path, splits).findings) == {("numbers", "train", None): (120,)}


def several(splits: dict[str, Sides], times: int) -> None:
    """A longer training set: each pair again, with another beginning."""
    source, target = splits["train"]
    for number in range(1, times):
        source += [f"{number}. {text}" for text in source[:540]]
        target += [f"{number}. {text}" for text in target[:540]]


def test_lines_out_of_step_are_found_where_it_begins(tmp_path: Path) -> None:
    splits = clean()
    several(splits, 5)
    shift(801, 1900)(splits)
    found = found_lines(looked_at(tmp_path, splits).findings)
    first, last = found["out-of-step", "train", None]
    assert (abs(first - 801) <= 10, abs(last - 1900) <= 10) == (True, True), (first, last)


def test_a_shuffled_side_is_found(tmp_path: Path) -> None:
    splits = clean()
    splits["train"][1].sort(key=lambda text: text[::-1])
    kinds = {kind for kind, split, _ in found_lines(looked_at(tmp_path, splits).findings) if split == "train"}
    assert "unrelated" in kinds


def test_files_the_wrong_way_round_are_serious(tmp_path: Path) -> None:
    splits = clean()
    splits["valid"] = splits["valid"][::-1]
    (finding,) = [each for each in looked_at(tmp_path, splits).findings if each.kind == "swapped"]
    assert (finding.split, finding.level, finding.count) == ("valid", "serious", 30)
    assert finding.advice == "the two files are the wrong way round"


def test_a_frequent_text_is_named_once(tmp_path: Path) -> None:
    splits = clean()
    for line in range(1, 61):
        splits["train"][1][line - 1] = "This sentence has not been translated yet."
    (finding,) = [each for each in looked_at(tmp_path, splits).findings if each.kind == "frequent"]
    assert (finding.side, finding.count, finding.rows) == ("target", 60, (0,))
