"""Texts on the wrong side, or in a language that neither side has."""

from collections.abc import Iterator

import numpy as np

from seq2seq.data.checks.findings import Finding, percent
from seq2seq.data.checks.languages import Profiles
from seq2seq.data.checks.survey import Side, Survey
from seq2seq.data.stored import SIDES

SHARE = 0.01
SWAPPED = 10  # letters that both texts of a swapped pair must have
NATS = 60.0  # by which a single text must look like the other side's language
CLEAR = 0.5  # of the usual score of the other side
FOREIGN = 0.1  # of a side's letters: scripts with fewer are not its own
FEW = 3  # letters that say nothing about a script
MIXED = 0.2  # of a side's texts: if more have such scripts, the corpus is in many languages


def swapped(found: Survey, profiles: Profiles | None) -> np.ndarray:
    """Whether the source looks like the target's language and the target like the source's."""
    if profiles is None:
        return np.zeros(len(found), bool)
    enough = np.minimum(found.source.letters, found.target.letters) >= SWAPPED
    crossed = (found.source.scores < CLEAR * profiles.target) & (found.target.scores > CLEAR * profiles.source)
    return enough & crossed


def misplaced(found: Survey, profiles: Profiles | None, side: str) -> np.ndarray:
    """Whether a text looks like the language of the other side, while the other text does not look like this side's."""
    if profiles is None:
        return np.zeros(len(found), bool)
    scores, other = found.side(side).scores, profiles.target
    if side == "target":
        scores, other = -scores, -profiles.source
    clear = (scores < CLEAR * other) & (scores * found.side(side).characters < -NATS)
    return clear & ~swapped(found, profiles)


def foreign(found: Survey, side: str) -> np.ndarray:
    """Whether most letters of a text are of a script that this side hardly has."""
    letters = found.script_letters[side]
    usual = letters >= FOREIGN * letters.sum()
    usual[0] = True
    own: Side = found.side(side)
    odd = ~usual[own.scripts] & (own.letters > FEW)
    return odd if odd.sum() <= MIXED * len(found) else np.zeros(len(found), bool)


def wrong_sides(split: str, found: Survey, profiles: Profiles | None) -> Iterator[Finding]:
    """Findings on languages."""
    total = len(found)
    both = swapped(found, profiles)
    if count := int(both.sum()):
        half = count * 2 > total
        yield Finding(
            "swapped",
            "serious" if count >= SHARE * total else "check",
            split,
            f"in {count:,} of {total:,} pairs ({percent(count, total)}) source and target look swapped",
            count,
            advice="the two files are the wrong way round" if half else "swap these lines back, or remove them",
        ).at(np.flatnonzero(both))
    for side in SIDES:
        wrong = misplaced(found, profiles, side)
        if count := int(wrong.sum()):
            yield Finding(
                "wrong-side",
                _level(count, total),
                split,
                f"{count:,} {side}s ({percent(count, total)}) look like the language of the other side",
                count,
                side=side,
                advice="probably untranslated: remove these pairs",
            ).at(np.flatnonzero(wrong))
        strange = foreign(found, side) & ~both & ~wrong
        if count := int(strange.sum()):
            names = [found.script_names[number].capitalize() for number in np.unique(found.side(side).scripts[strange])]
            yield Finding(
                "script",
                _level(count, total),
                split,
                f"{count:,} {side}s ({percent(count, total)}) are in another script than the rest: {', '.join(names)}",
                count,
                side=side,
                advice="remove these pairs",
            ).at(np.flatnonzero(strange))


def _level(count: int, total: int) -> str:
    return "check" if count >= 0.001 * total else "note"
