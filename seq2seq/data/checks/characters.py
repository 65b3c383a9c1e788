"""Characters of texts: letters and their scripts, digits, spaces, and those that do not belong in a text."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

OTHER, SPACE, DIGIT, LETTER = range(4)
CONTROL, REPLACEMENT, PRIVATE, UNASSIGNED, DIRECTION, ZERO_WIDTH, MARK = range(8, 15)
UNKNOWN = 255
ODD = {  # classes of characters that do not belong in a text: what they are, and what to do about them
    CONTROL: ("control characters", "remove them, or find out what was to stand there"),
    REPLACEMENT: ("the replacement character U+FFFD", "text was decoded wrongly before; get the original again"),
    PRIVATE: ("private-use characters", "symbols of one font, often from a PDF; replace or remove them"),
    UNASSIGNED: ("code points without a character", "often another encoding read as UTF-8; get the original again"),
    DIRECTION: ("invisible direction marks", "remove them where the language does not need them"),
    ZERO_WIDTH: ("invisible characters (zero-width spaces, soft hyphens)", "remove them"),
    MARK: ("a byte-order mark inside the text", "files were joined: remove U+FEFF"),
}
LAST = 0x110000
_DIRECTION = frozenset([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_ZERO_WIDTH = frozenset([0x200B, 0x2060, 0x00AD, 0x180E])  # joiners (200C, 200D) belong to several scripts
_SCRIPT_OF = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "BOPOMOFO": "CJK", "HALFWIDTH": "CJK", "FULLWIDTH": "LATIN"}
_SCRIPT_OF |= {"MICRO": "COMMON", "FEMININE": "COMMON", "MASCULINE": "COMMON", "MODIFIER": "COMMON"}

# What UTF-8 looks like when it is read as Windows-1252: Ã¤ for ä, â€œ for “, Ð¿Ñ€ for пр.
_TAIL = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_MOJIBAKE = re.compile(f"[ÂÃÄÅ]{_TAIL}|â{_TAIL}{_TAIL}|(?:[ÐÑ]{_TAIL}){{2}}|ï»¿")
MARKUP = re.compile(
    r"&(?:amp|quot|apos|lt|gt|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,5});|</?(?:br|p|b|i|u|a|span|div|font)\b[^<>\n]*>"
)


class Characters:
    """Classes, scripts and lower case of characters, filled for each character when it is first met."""

    def __init__(self) -> None:
        self.kinds = np.full(LAST, UNKNOWN, np.uint8)
        self.scripts = np.zeros(LAST, np.uint8)
        self.lower = np.arange(LAST, dtype=np.uint32)
        self.names = ["COMMON"]  # of scripts, by number

    def meet(self, codes: np.ndarray) -> np.ndarray:
        """The class of each character, uint8."""
        kinds = self.kinds[codes]
        unknown = codes[kinds == UNKNOWN]
        if len(unknown):
            for code in np.unique(unknown).tolist():
                self._add(code)
            kinds = self.kinds[codes]
        return kinds

    def _add(self, code: int) -> None:
        letter = chr(code)
        kind = kind_of(code)
        self.kinds[code] = kind
        lower = letter.lower()
        self.lower[code] = ord(lower) if len(lower) == 1 else code
        if kind == LETTER:
            name = script_of(letter)
            if name not in self.names:
                self.names.append(name)
            self.scripts[code] = self.names.index(name)


def kind_of(code: int) -> int:
    """The class of a character."""
    if code in (0x09, 0x0A):
        return SPACE
    if code in _DIRECTION:
        return DIRECTION
    if code in _ZERO_WIDTH:
        return ZERO_WIDTH
    if code in (0xFFFD, 0xFEFF):
        return REPLACEMENT if code == 0xFFFD else MARK
    letter = chr(code)
    category = unicodedata.category(letter)
    by_category = {"Cc": CONTROL, "Co": PRIVATE, "Cn": UNASSIGNED, "Cs": UNASSIGNED, "Nd": DIGIT}
    if category in by_category:
        return by_category[category]
    return SPACE if letter.isspace() else LETTER if category[0] == "L" else OTHER


def script_of(letter: str) -> str:
    """The script of a letter, by the first word of its name: LATIN, CYRILLIC, CJK (Chinese and Japanese)."""
    word = unicodedata.name(letter, "COMMON").split()[0].split("-")[0]
    return _SCRIPT_OF.get(word, word)


@dataclass(frozen=True)
class Codes:
    """Texts as code points, one after the other with a line break after each: text i is codes[starts[i]:ends[i]]."""

    text: str
    codes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, texts: list[str]) -> "Codes":
        """The code points of these texts."""
        text = "\n".join([*texts, ""])
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        ends = np.cumsum(lengths + 1) - 1
        return cls(text, codes, ends - lengths, ends)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of each text's values, one value per code point."""
        total = np.concatenate((np.zeros(1, values.dtype), np.cumsum(values, dtype=values.dtype)))
        return total[self.ends] - total[self.starts]

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The numbers of the texts in which these places lie, each once."""
        return np.unique(np.searchsorted(self.ends, places, side="left"))


def mojibake(text: str) -> Iterator[int]:
    """Where UTF-8 was read as Windows-1252 or Latin-1: matches that become a character when this is undone."""
    for found in _MOJIBAKE.finditer(text):
        if _undone(found[0]) is not None:
            yield found.start()


def _undone(text: str) -> str | None:
    """The text as it was before; None if it was not read wrongly."""
    try:
        raw = b"".join(_byte(letter) for letter in text)
        before = raw.decode()
    except UnicodeError:
        return None
    return before if before.isprintable() or before in ("\ufeff", "\u00a0", "\u00ad", "\u200b") else None


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")
