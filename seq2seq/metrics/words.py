"""Splitting text into words for ROUGE, in any script, and documents into sentences."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

from seq2seq.metrics.scripts import HAN, KANA, SOUTH_EAST_ASIAN, within

_ALONE = (*HAN, *KANA, *SOUTH_EAST_ASIAN)  # each character counts as a word
_ZERO_WIDTH_SPACE = 0x200B  # the one format character that separates words

TITLES = ("Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.")  # a name follows, not a sentence
_NO_TITLE = "".join(rf"(?<!\b{re.escape(title)})" for title in TITLES)
_SENTENCE_END = re.compile(rf"(?<=[.!?।॥؟۔]){_NO_TITLE}\s+|(?<=[。！？｡])")


class _Spacing(dict[int, str]):
    """Maps each character: letters, digits and marks stay, format characters (the joiners of Devanagari and Arabic,
    soft hyphens) are removed, the rest become spaces."""

    def __missing__(self, code: int) -> str:
        character, category = chr(code), unicodedata.category(chr(code))
        if category == "Cf" and code != _ZERO_WIDTH_SPACE:
            spaced = ""
        elif category[0] not in "LNM":
            spaced = " "
        elif within(code, _ALONE):
            spaced = f" {character} "
        else:
            spaced = character
        self[code] = spaced
        return spaced


_SPACING = _Spacing()


class UnicodeWords:
    """Lower-cased words of letters, digits and marks, in NFKC form; in scripts without spaces each character is one."""

    def tokenize(self, text: str) -> list[str]:
        """The words of `text`, in order; the tokenizer interface of rouge-score."""
        return unicodedata.normalize("NFKC", text).lower().translate(_SPACING).split()


class Remembered:
    """A tokenizer that caches the last texts: several systems are scored against the same references, and stemming
    takes most of the time."""

    def __init__(self, tokenize: Callable[[str], list[str]]) -> None:
        self.tokenize = lru_cache(maxsize=1 << 14)(tokenize)


def mostly_beyond_a_to_z(texts: Iterable[str]) -> bool:
    """Whether more than half of the letters are not a-z, ignoring case; False if there are no letters."""
    letters = [letter for text in texts for letter in text.lower() if letter.isalpha()]
    return 2 * sum("a" <= letter <= "z" for letter in letters) < len(letters)


def sentence_a_line(text: str) -> str:
    """`text` with a newline after each sentence: where .!? (or Devanagari's and Arabic's own marks) and a space end it,
    except for titles (Mr. Smith), or 。！？ without one."""
    return _SENTENCE_END.sub("\n", text)


def sentences(text: str) -> list[str]:
    """The sentences of `text`, stripped. Each line is at least one: in a dialogue, a speaker's turn."""
    return [stripped for line in sentence_a_line(text).split("\n") if (stripped := line.strip())]
