"""Unusual texts are reported before training, normal ones are not."""

from pathlib import Path

import pytest
from broken_text import clean

from seq2seq.data import inspection
from seq2seq.data.checks.survey import hashes_of, pair_hashes
from seq2seq.data.inspection import remarks
from seq2seq.data.stored import StoredTexts, TextWriter

GERMAN = [f"der hund {name} sieht das haus {number}" for number, name in enumerate("abcdefghijklmnopqrst")]
ENGLISH = [f"the dog {name} looks at that house {number}" for number, name in enumerate("abcdefghijklmnopqrst")]
JAPANESE = [text + more for more in "あいうえお" for text in ("犬が家を見る", "家は大きい", "犬は小さい", "家を見る犬")]
CHINESE = [text + more for more in "甲乙丙丁戊" for text in ("狗看房子", "房子很大", "狗很小", "看房子的狗")]
NUMBERS = [f"{number} {number + 7}" for number in range(100, 199)]
BACKWARDS = [line[::-1] for line in NUMBERS]
LONG = [f"{line} " * 6 for line in ENGLISH]


def stored(folder: Path, name: str, sources: list[str], targets: list[str]) -> StoredTexts:
    (folder / name).mkdir(parents=True)
    for column, texts in (("source", sources), ("target", targets), ("references", [""] * len(sources))):
        with TextWriter(folder / name, column) as writer:
            writer.add(texts)
    return StoredTexts(folder / name, name, "", "")


WORD = "metrics=summarization"
TABLE = [
    ((GERMAN[:15], ENGLISH[:15]), (GERMAN[15:], ENGLISH[15:]), 15, WORD, None),
    (
        (GERMAN, ENGLISH),
        (GERMAN[:5], ENGLISH[:5]),
        20,
        WORD,
        "5 of 5 validation pairs are also training pairs",
    ),
    (
        (GERMAN, ENGLISH),
        (GERMAN[:1] * 2 + ["neu"], ENGLISH[:1] * 2 + ["new"]),
        20,
        WORD,
        "2 of 3 validation pairs",
    ),
    (
        (GERMAN, ENGLISH),
        (GERMAN[:2], ENGLISH[2:4]),
        20,
        WORD,
        None,
    ),  # the sentences occur in training, the pairs do not
    (
        (GERMAN[:15], ENGLISH[:15]),
        (ENGLISH[15:], GERMAN[15:]),
        15,
        WORD,
        "source and target look swapped",
    ),
    ((NUMBERS[::2], BACKWARDS[::2]), (BACKWARDS[1::2], NUMBERS[1::2]), 50, WORD, None),  # no language
    (
        (JAPANESE, CHINESE),
        (CHINESE[::-1], JAPANESE[::-1]),
        20,
        WORD,
        "source and target look swapped",
    ),
    (
        (GERMAN[:15], GERMAN[:15]),
        (GERMAN[15:], GERMAN[15:]),
        15,
        WORD,
        None,
    ),  # the same language on both sides
    (
        (GERMAN[:15], ENGLISH[:15]),
        (GERMAN[15:], ENGLISH[15:]),
        14,
        WORD,
        "1 of 15 training pairs (7%) are left out",
    ),
    (
        (LONG[:15], ENGLISH[:15]),
        (LONG[15:], ENGLISH[15:]),
        15,
        WORD,
        "type: metrics=summarization",
    ),
    ((LONG[:15], ENGLISH[:15]), (LONG[15:], ENGLISH[15:]), 15, "", None),
    (
        (GERMAN[:9] * 2, ENGLISH[:9] * 2),
        (GERMAN[15:], ENGLISH[15:]),
        18,
        WORD,
        "9 of 18 training pairs (50%) repeat an earlier pair",
    ),
    (
        ([*GERMAN[:14], "der hund sieht das groÃŸe haus"], ENGLISH[:15]),
        (GERMAN[15:], ENGLISH[15:]),
        15,
        WORD,
        "of 15 training pairs looked at: 1 source (6.7%) with UTF-8 read as Windows-1252",
    ),
    (
        (ENGLISH[:15], CHINESE[:15]),
        (ENGLISH[15:], CHINESE[15:]),
        15,
        WORD,
        None,
    ),  # Chinese texts are short in characters
]


@pytest.mark.parametrize(("train", "valid", "kept", "word", "line"), TABLE)
def test_remarks(
    tmp_path: Path,
    train: tuple[list[str], list[str]],
    valid: tuple[list[str], list[str]],
    kept: int,
    word: str,
    line: str | None,
) -> None:
    found = remarks(
        stored(tmp_path, "t", *train), stored(tmp_path, "v", *valid), kept=kept, for_summaries=[word] if word else []
    )
    assert len(found) == (line is not None)
    assert line is None or line in found[0]


def test_a_remark_is_followed_by_the_command_that_says_more(tmp_path: Path) -> None:
    splits = clean()
    source, target = splits["train"]
    for line in range(0, 540, 20):
        source[line], target[line] = target[line], source[line]
    texts = [stored(tmp_path, split, *splits[split]) for split in ("train", "valid")]
    assert remarks(*texts, kept=540, for_summaries=[], more="seq2seq doctor data=mine") == [
        "of 540 training pairs looked at: in 27 of 540 pairs (5.0%) source and target look swapped",
        "to see these lines and others: seq2seq doctor data=mine",
    ]
    sound = [stored(tmp_path, f"sound-{split}", *clean()[split]) for split in ("train", "valid")]
    assert remarks(*sound, kept=540, for_summaries=[], more="seq2seq doctor data=mine") == []


def test_of_many_pairs_evenly_spaced_ones_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST", 40)
    monkeypatch.setattr(inspection, "CHUNK", 10)
    numbers = [str(number) for number in range(100)]
    texts = stored(tmp_path, "t", numbers, numbers)
    first, second, *_, last = inspection._pairs(texts)
    everything = pair_hashes(hashes_of(numbers), hashes_of(numbers))
    assert (first, second, last) == (everything[0], everything[1], everything[-1])
    assert len(inspection._pairs(texts)) == 40
