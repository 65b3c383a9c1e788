"""How much of a text was copied, from its source or from itself. Texts are lists of words.

Novel n-grams: See et al. (2017), section 6. Fragments: Grusky et al. (2018), arXiv:1804.11283, section 4.
"""

from collections import defaultdict
from collections.abc import Sequence

Words = Sequence[str]


def ngrams(words: Words, n: int) -> list[tuple[str, ...]]:
    """All runs of n words, in order, each as often as it occurs."""
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def novel_share(text: Words, source: Words, n: int) -> float | None:
    """The share of the text's different n-grams that are not in the source; None for a text without any."""
    own = set(ngrams(text, n))
    return len(own - set(ngrams(source, n))) / len(own) if own else None


def repeated_share(text: Words, n: int) -> float | None:
    """The share of the text's n-grams that occurred earlier in it; None for a text without any."""
    found = ngrams(text, n)
    return 1 - len(set(found)) / len(found) if found else None


def fragments(text: Words, source: Words) -> list[int]:
    """The lengths of the pieces of the source that the text is made of, in order (figure 3 of the paper): from each
    word on, the longest sequence that is also in the source. Words that are not in it belong to none."""
    places = defaultdict(list)
    for place, word in enumerate(source):
        places[word].append(place)
    lengths, start = [], 0
    while start < len(text):
        longest = max((_common(text[start:], source[place:]) for place in places.get(text[start], ())), default=0)
        if longest:
            lengths.append(longest)
        start += max(longest, 1)
    return lengths


def _common(one: Words, other: Words) -> int:
    """How many words both begin with."""
    for count, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return count
    return min(len(one), len(other))


def coverage(text: Words, source: Words) -> float | None:
    """The copy rate: the share of the text's words in fragments, which is the share also in the source. None for an
    empty text."""
    return sum(fragments(text, source)) / len(text) if text else None


def density(text: Words, source: Words) -> float | None:
    """The mean length of the fragment around a word of the text, 0 for a word in none: 1 if single words are copied,
    the text's length if it is one passage of the source. None for an empty text."""
    return sum(length**2 for length in fragments(text, source)) / len(text) if text else None
