"""Splitting text into the words that ROUGE counts, in any script, and documents into sentences."""

import re
import unicodedata

# Scripts written without spaces: each character counts as a word.
_ALONE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # Han iteration mark and zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han
    (0x20000, 0x3FFFF),  # Han
)

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


class _Spacing(dict[int, str]):
    """How each character stands among words: letters, digits and marks as they are, the rest as a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if unicodedata.category(character)[0] not in "LNM":
            spaced = " "
        elif any(first <= code <= last for first, last in _ALONE):
            spaced = f" {character} "
        else:
            spaced = character
        self[code] = spaced
        return spaced


_SPACING = _Spacing()


class UnicodeWords:
    """Lower-cased words of letters, digits and marks, in NFKC form; in scripts without spaces each character is one."""

    def tokenize(self, text: str) -> list[str]:
        """The words of `text`, in order; the interface that rouge-score asks of a tokenizer."""
        return unicodedata.normalize("NFKC", text).lower().translate(_SPACING).split()


def sentence_a_line(text: str) -> str:
    """`text` with a newline after each sentence that ends in one of .!? and a space, or in one of 。！？."""
    return _SENTENCE_END.sub("\n", text)
