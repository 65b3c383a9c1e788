"""Warnings about a run's texts before training, one line each, with what to type."""

from collections.abc import Iterator, Sequence

import numpy as np

from seq2seq.data.stored import CHUNK, Column, StoredTexts

OVERLAP = 0.01  # of the validation pairs that may be training pairs
DROPPED = 0.05  # of the training pairs that may be left out
SHORTER = 3  # times as long as their targets: sources of summaries
SAMPLE = 2000  # pairs a split whose words are compared
CLEARER = 0.2  # how many more of the words must be known when the sides are swapped


def remarks(train: StoredTexts, valid: StoredTexts, *, kept: int, for_summaries: Sequence[str]) -> list[str]:
    """Warnings about these splits; `kept` training pairs are used, and `for_summaries` are the settings for summaries
    that the run does not have."""
    found = [_overlap(train, valid), _exchanged(train, valid), _dropped(len(train), kept)]
    return [line for line in [*found, _summaries(train, for_summaries)] if line]


def _overlap(train: StoredTexts, valid: StoredTexts) -> str | None:
    wanted = set(_pairs(valid))
    met = {pair for pair in _pairs(train) if pair in wanted}
    both = sum(pair in met for pair in _pairs(valid))
    if both < max(1, OVERLAP * len(valid)):
        return None
    return (
        f"{both:,} of {len(valid):,} validation pairs are also training pairs: their scores say little about new "
        "text. Give other text as data.valid"
    )


def _pairs(texts: StoredTexts) -> Iterator[tuple[str, str]]:
    for start in range(0, len(texts), CHUNK):
        chunk = slice(start, start + CHUNK)
        yield from zip(texts.source[chunk], texts.target[chunk], strict=True)


def _exchanged(train: StoredTexts, valid: StoredTexts) -> str | None:
    """Whether one split's sources are in the language of the other's targets, by the words that both have."""
    known = [_words(column) for column in (train.source, train.target)]
    words = [_words(column) for column in (valid.source, valid.target)]
    straight = min(_share(words[0], known[0]), _share(words[1], known[1]))
    crossed = min(_share(words[0], known[1]), _share(words[1], known[0]))
    if crossed < straight + CLEARER:
        return None
    return (
        f"source and target look swapped in data.train or data.valid: {crossed:.0%} of the validation words occur on "
        f"the other side of the training text, and {straight:.0%} on their own. Check which file is which"
    )


def _words(column: Column) -> set[str]:
    """The words of some texts, without numbers; for text without spaces its characters."""
    rows = np.unique(np.linspace(0, len(column) - 1, min(SAMPLE, len(column))).astype(int)).tolist()
    texts = [column[row].lower() for row in rows]
    spaced = sum(" " in text for text in texts) > len(texts) / 2
    words = {word for text in texts for word in (text.split() if spaced else text)}
    return {word for word in words if any(map(str.isalpha, word))}


def _share(words: set[str], known: set[str]) -> float:
    return len(words & known) / max(len(words), 1)


def _dropped(there: int, kept: int) -> str | None:
    if there - kept <= DROPPED * there:
        return None
    return (
        f"{there - kept:,} of {there:,} training pairs ({(there - kept) / there:.0%}) are left out (see the line on "
        "train). Of those that are too long, length.overlong=truncate keeps the beginning; length.max_source and "
        "length.max_target raise the limits"
    )


def _summaries(train: StoredTexts, words: Sequence[str]) -> str | None:
    longer = train.source.size / max(train.target.size, 1)
    if longer < SHORTER or not words:
        return None
    return f"sources are {longer:.0f} times as long as their targets. If these are summaries, type: {' '.join(words)}"
