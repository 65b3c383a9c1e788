"""Warnings about a run's texts before training, one line each, with what to type."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from seq2seq.data.checks.alignment import unrelated
from seq2seq.data.checks.characters import Characters
from seq2seq.data.checks.languages import Profiles
from seq2seq.data.checks.odd import odd_characters
from seq2seq.data.checks.repetition import copies, repeats
from seq2seq.data.checks.sides import wrong_sides
from seq2seq.data.checks.survey import hashes_of, pair_hashes, survey
from seq2seq.data.stored import CHUNK, Column, StoredTexts

OVERLAP = 0.01  # of the validation pairs that may be training pairs
DROPPED = 0.05  # of the training pairs that may be left out
SHORTER = 3  # times as long as their targets: sources of summaries
SAMPLE = 2000  # pairs a split that are looked at
READ = 2_000_000  # bytes that they have together, about
REPEATED = 0.05  # of the training pairs that may repeat an earlier one
OFTEN = 0.01  # of the pairs looked at that may have something odd
MOST = 500_000  # pairs that are compared with each other
CLEARER = 0.2  # how many more of the words must be known when the sides are swapped


def remarks(
    train: StoredTexts, valid: StoredTexts, *, kept: int, for_summaries: Sequence[str], more: str = ""
) -> list[str]:
    """Warnings about these splits; `kept` training pairs are used, `for_summaries` are the settings for summaries that
    the run does not have, and `more` is the command that says more about texts."""
    pairs = [_pairs(texts) for texts in (train, valid)]
    found = [_overlap(*pairs), _repeated(pairs[0]), _exchanged(train, valid), *_looked_at(train)]
    lines = [line for line in [*found, _dropped(len(train), kept)] if line]
    lines += [f"to see these lines and others: {more}"] if lines and more else []
    return [*lines, *filter(None, [_summaries(train, for_summaries)])]


def _overlap(train: np.ndarray, valid: np.ndarray) -> str | None:
    both = int(np.isin(valid, train).sum())
    if both < max(1, OVERLAP * len(valid)):
        return None
    return (
        f"{both:,} of {len(valid):,} validation pairs are also training pairs: their scores say little about new "
        "text. Give other text as data.valid"
    )


def _repeated(train: np.ndarray) -> str | None:
    again = int(repeats(train).sum())
    if again <= REPEATED * len(train):
        return None
    return f"{again:,} of {len(train):,} training pairs ({again / len(train):.0%}) repeat an earlier pair"


def _pairs(texts: StoredTexts) -> np.ndarray:
    """A hash of each pair; of more than MOST, of about that many in evenly spaced chunks."""
    chunks = np.arange(0, len(texts), CHUNK)
    if len(chunks) > MOST // CHUNK:
        chunks = chunks[np.linspace(0, len(chunks) - 1, MOST // CHUNK).astype(int)]
    places = [slice(start, start + CHUNK) for start in chunks.tolist()]
    return np.concatenate(
        [pair_hashes(hashes_of(texts.source[each]), hashes_of(texts.target[each])) for each in places]
    )


def _looked_at(train: StoredTexts) -> Iterator[str]:
    """What the checks find in at least one in a hundred of some evenly spaced training pairs."""
    length = (train.source.size + train.target.size) / len(train)
    most = min(SAMPLE, len(train), max(int(READ / max(length, 1)), 1))
    rows = np.unique(np.linspace(0, len(train) - 1, most).astype(int)).tolist()
    sides = [column[row] for row in rows for column in (train.source, train.target)]
    columns = (sides[::2], sides[1::2])
    characters = Characters()
    profiles = Profiles.of(*columns, characters)
    found = survey(columns, characters, profiles)
    checks = (wrong_sides("train", found, profiles), copies("train", found), odd_characters("train", found))
    for finding in [*chain(*checks), *unrelated("train", found)]:
        if finding.level != "note" and finding.count >= OFTEN * len(rows):
            yield f"of {len(rows):,} training pairs looked at: {finding.text}"


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
