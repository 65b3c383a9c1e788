"""Pairs and texts that occur more than once, within a split and across splits, by their hashes."""

from collections.abc import Iterator, Mapping

import numpy as np

from seq2seq.data.checks.findings import Finding, Level, percent
from seq2seq.data.checks.survey import Survey, pair_hashes
from seq2seq.data.stored import SIDES

SHARE = 0.01  # of pairs: fewer are worth a note, more are worth a look
OFTEN = 0.005  # of the pairs that may have the same source or target
NO_NAME = 15  # letters
LEAST = 50  # times that a text must occur to be called frequent


def repeats(values: np.ndarray) -> np.ndarray:
    """Where a value occurs that was there before."""
    _, first = np.unique(values, return_index=True)
    again = np.ones(len(values), bool)
    again[first] = False
    return again


def several(of: np.ndarray, with_different: np.ndarray) -> int:
    """How many of the values `of` occur with different values of the other array."""
    _, first = np.unique(pair_hashes(of, with_different), return_index=True)
    _, counts = np.unique(of[first], return_counts=True)
    return int((counts > 1).sum())


def duplicates(split: str, found: Survey) -> Iterator[Finding]:
    """Pairs that repeat an earlier one, and texts that are on one side of very many pairs."""
    again = repeats(found.pairs)
    if count := int(again.sum()):
        yield Finding(
            "duplicates",
            _level(count, len(found)),
            split,
            f"{count:,} of {len(found):,} pairs ({percent(count, len(found))}) repeat an earlier pair",
            count,
            advice="repeated pairs count more in training" if split == "train" else "repeated pairs count twice",
        ).at(np.flatnonzero(again))
    for side in SIDES:
        yield from _frequent(split, found, side)


def _frequent(split: str, found: Survey, side: str) -> Iterator[Finding]:
    own = found.side(side)
    filled = np.flatnonzero(~own.blank)
    values, first, counts = np.unique(own.hashes[filled], return_index=True, return_counts=True)
    if not len(values) or (most := int(counts.max())) < max(LEAST, OFTEN * len(found)):
        return
    row = int(filled[first[counts.argmax()]])
    yield Finding(
        "frequent",
        "check",
        split,
        f"one {side} occurs {most:,} times ({percent(most, len(found))} of the pairs)",
        most,
        advice="if it is a placeholder or a heading, remove these pairs",
        side=side,
    ).at([row])


def copies(split: str, found: Survey) -> Iterator[Finding]:
    """Pairs whose target is the source, letter for letter."""
    same = copied(found)
    if count := int(same.sum()):
        total = len(found)
        yield Finding(
            "copies",
            "note" if count * 2 > total else _level(count, total),  # most of them: copying is the task
            split,
            f"{count:,} of {total:,} pairs ({percent(count, total)}) have the source as their target",
            count,
            advice="a model learns to copy from untranslated pairs",
        ).at(np.flatnonzero(same))


def copied(found: Survey) -> np.ndarray:
    """Whether source and target are the same text, and no short one, such as a name."""
    return (found.source.hashes == found.target.hashes) & (found.source.letters >= NO_NAME)


def overlaps(surveys: Mapping[str, Survey]) -> Iterator[Finding]:
    """Pairs of one split that an earlier one has too: scores on them say little about new text."""
    names = list(surveys)
    for place, split in enumerate(names):
        for other in names[:place]:
            yield from _overlap(split, surveys[split], other, surveys[other])


def _overlap(split: str, found: Survey, other: str, before: Survey) -> Iterator[Finding]:
    total = len(found)
    kinds = {"pairs": (found.pairs, before.pairs)}
    kinds |= {f"{side}s": (found.side(side).hashes, before.side(side).hashes) for side in SIDES}
    shared = {kind: np.isin(ours, theirs) for kind, (ours, theirs) in kinds.items()}
    shared["sources"] &= ~found.source.blank
    shared["targets"] &= ~found.target.blank
    counts = {kind: int(where.sum()) for kind, where in shared.items()}
    if counts["pairs"]:
        yield Finding(
            "overlap-train" if other == "train" else "overlap",
            "serious" if counts["pairs"] >= SHARE * total else "note",
            split,
            f"{counts['pairs']:,} of {total:,} {split} pairs ({percent(counts['pairs'], total)}) are also {other} "
            f"pairs (of the sources {percent(counts['sources'], total)}, of the targets "
            f"{percent(counts['targets'], total)})",
            counts["pairs"],
            advice=f"scores on {split} say little about new text",
        ).at(np.flatnonzero(shared["pairs"]))
    elif counts["sources"] >= SHARE * total:
        yield Finding(
            "overlap-sources",
            "check" if counts["sources"] >= 10 * SHARE * total else "note",
            split,
            f"{counts['sources']:,} of {total:,} {split} sources ({percent(counts['sources'], total)}) are also "
            f"{other} sources, with other targets",
            counts["sources"],
            side="source",
        ).at(np.flatnonzero(shared["sources"]))


def _level(count: int, total: int) -> Level:
    return "check" if count >= SHARE * total else "note"
