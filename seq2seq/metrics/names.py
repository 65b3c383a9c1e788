"""Names and numbers in a text, recognised by their form: a summary must copy them exactly."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from seq2seq.metrics.words import TITLES

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|\w+")
_BEGINS_SENTENCE = re.compile(r"(?:^|[\n.!?:…。！？।])[^\w\n.!?:…。！？।]*$")
_FAR_ENOUGH = 20  # characters before a word that show whether a sentence begins with it


def tokens(text: str) -> set[str]:
    """The words and numbers of a text, case kept, in NFKC form: 'at 10:30 with O'Neil' has at, 10:30, with, O, Neil."""
    return set(_TOKEN.findall(unicodedata.normalize("NFKC", text)))


def named(text: str) -> set[str]:
    """The names and numbers among the tokens: capitalised words of two letters or more that do not begin a sentence,
    and all words with a digit.

    A sentence begins with the text, with a line, after .!?:… and the like, but not after Mr. and other titles. If all
    nouns are capitalised, as in German, they all count; without capitals only numbers count.
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
    """Names in more than half of the sources, such as the speakers' #Person1#: they do not distinguish texts."""
    counts = Counter(name for source in sources for name in named(source))
    return {name for name, count in counts.items() if count > max(1, len(sources) / 2)}


def precision(texts: Sequence[str], sources: Sequence[str]) -> float | None:
    """Of the names and numbers in the texts, the share also in the text's source, over all texts; None if there are
    none. Widespread ones are ignored."""
    dull = widespread(sources)
    return _share((named(text) - dull, tokens(source)) for text, source in zip(texts, sources, strict=True))


def recall(texts: Sequence[str], sources: Sequence[str], references: Sequence[Sequence[str]]) -> float | None:
    """Of the names and numbers in both reference and source, the share also in the text, over all references of all
    texts; None if there are none. Widespread ones are ignored.

    A capitalised word that begins a reference's sentence also counts if it is a name elsewhere in the source.
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
