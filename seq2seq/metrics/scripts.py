"""Scripts without spaces between words: the share of a text in each of them."""

from collections import Counter
from collections.abc import Iterable, Sequence

Ranges = Sequence[tuple[int, int]]

HAN: Ranges = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # iteration mark and zero
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
KANA: Ranges = (
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
)
SOUTH_EAST_ASIAN: Ranges = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
)
RARER: Ranges = (
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9DF),  # Javanese
)


def within(code: int, ranges: Ranges) -> bool:
    """Whether a character's code point lies in one of the ranges."""
    return any(first <= code <= last for first, last in ranges)


def share_of_letters(texts: Iterable[str], *scripts: Ranges) -> list[float]:
    """For each of the scripts the share of all letters that are written in it, 0 to 1; 0 where there are no letters."""
    counts = {letter: count for letter, count in Counter("".join(texts)).items() if letter.isalpha()}
    total = sum(counts.values())
    return [
        sum(count for letter, count in counts.items() if within(ord(letter), ranges)) / total if total else 0.0
        for ranges in scripts
    ]
