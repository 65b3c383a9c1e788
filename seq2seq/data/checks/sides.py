"""Texts on the wrong side, or in a language that neither side has."""

from collections.abc import Iterator

import numpy as np

from seq2seq.data.checks.findings import Finding, Level, counted, percent
from seq2seq.data.checks.languages import Profiles
from seq2seq.data.checks.survey import Letters, Survey
from seq2seq.data.stored import SIDES

SHARE = 0.01
SWAPPED = 10  # letters that both texts of a swapped pair must have
NATS = 60.0  # by which a single text must look like the other side's language
CLEAR = 0.5  # of the usual score of the other side
FOREIGN = 0.1  # of a side's letters: scripts with fewer are not its own
FEW = 3  # letters that say nothing about a script
NAMES = {"CJK": "Chinese or Japanese"}
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


def foreign(found: Survey, side: str, letters: Letters | None = None) -> np.ndarray:
    """Whether most letters of a text are of a script that this side hardly has; `letters` of a whole training set by
    script say what is usual, None: the split's own."""
    usual = (letters or found.script_letters)[side]
    known = usual >= FOREIGN * usual.sum()
    known[0] = True
    own = found.side(side)
    odd = ~known[own.scripts] & (own.letters > FEW)
    mixed = letters is None and odd.sum() > MIXED * len(found)
    return np.zeros(len(found), bool) if mixed else odd


def wrong_sides(
    split: str, found: Survey, profiles: Profiles | None, letters: Letters | None = None
) -> Iterator[Finding]:
    """Findings on languages; `letters` as for `foreign`."""
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
                f"{counted(count, side)} ({percent(count, total)}) in what looks like the language of the other side",
                count,
                side=side,
                advice="probably untranslated: remove these pairs",
            ).at(np.flatnonzero(wrong))
        strange = foreign(found, side, None if split == "train" else letters) & ~both & ~wrong
        if count := int(strange.sum()):
            scripts = np.unique(found.side(side).scripts[strange]).tolist()
            names = [NAMES.get(name, name.capitalize()) for name in (found.script_names[number] for number in scripts)]
            yield Finding(
                "script",
                _level(count, total),
                split,
                f"{counted(count, side)} ({percent(count, total)}) in another script than the rest: {', '.join(names)}",
                count,
                side=side,
                advice="remove these pairs",
            ).at(np.flatnonzero(strange))


def _level(count: int, total: int) -> Level:
    return "check" if count >= 0.001 * total else "note"
