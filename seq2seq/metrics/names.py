"""Names and numbers in a text, found by their looks: what a summary must copy letter by letter."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from seq2seq.metrics.words import TITLES

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|\w+")
_BEGINS_SENTENCE = re.compile(r"(?:^|[\n.!?:…。！？।])[^\w\n.!?:…。！？।]*$")
_FAR_ENOUGH = 20  # characters before a word that can tell whether a sentence begins with it


def tokens(text: str) -> set[str]:
    """The words and numbers of a text, case kept, in NFKC form: 'at 10:30 with O'Neil' has at, 10:30, with, O, Neil."""
    return set(_TOKEN.findall(unicodedata.normalize("NFKC", text)))


def named(text: str) -> set[str]:
    """The names and numbers among the tokens: words of two letters and more with a capital that do not begin a
    sentence, and all that holds a digit.

    A sentence begins with the text, with a line, after .!?:… and the like, but not after Mr. and other titles. Where
    all nouns are capitalised, as in German, they all count; where there are no capitals, numbers alone.
    """
    text = unicodedata.normalize("NFKC", text)
    return {match[0] for match in _TOKEN.finditer(text) if _is_name(match[0], text[: match.start()])}


def _is_name(token: str, before: str) -> bool:
    if any(map(str.isdigit, token)):
        return True
    return len(token) > 1 and token[0].isupper() and not _begins_sentence(before)


def _begins_sentence(before: str) -> bool:
    near = before[-_FAR_ENOUGH:].rstrip(" \t")
    return not near.endswith(TITLES) and (not before or bool(_BEGINS_SENTENCE.search(near)))


def widespread(sources: Sequence[str]) -> set[str]:
    """Names in more than half of the sources, such as the speakers' #Person1#: they tell no text from another."""
    counts = Counter(name for source in sources for name in named(source))
    return {name for name, count in counts.items() if count > max(1, len(sources) / 2)}


def precision(texts: Sequence[str], sources: Sequence[str]) -> float | None:
    """Of the names and numbers in the texts, the share that each one's source has too, all texts together; None where
    there are none. Widespread ones do not count."""
    dull = widespread(sources)
    return _share((named(text) - dull, tokens(source)) for text, source in zip(texts, sources, strict=True))


def recall(texts: Sequence[str], sources: Sequence[str], references: Sequence[Sequence[str]]) -> float | None:
    """Of the references' names and numbers that the source has, the share that the text has too, all references of all
    texts together; None where there are none. Widespread ones do not count.

    A capital that begins a reference's sentence counts as well where the source has the word as a name elsewhere.
    """
    dull = widespread(sources)
    return _share(
        (((named(reference) | named(source)) & tokens(reference) & tokens(source)) - dull, tokens(text))
        for text, source, several in zip(texts, sources, references, strict=True)
        for reference in several
    )


def _share(wanted_and_there: Iterable[tuple[set[str], set[str]]]) -> float | None:
    found = total = 0
    for wanted, there in wanted_and_there:
        found += len(wanted & there)
        total += len(wanted)
    return found / total if total else None
