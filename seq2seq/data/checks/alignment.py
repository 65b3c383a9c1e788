"""Whether source N belongs to target N: long texts have long translations, and the same numbers (after Gale and Church
1993)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seq2seq.data.checks.findings import Finding, percent
from seq2seq.data.checks.survey import Survey

SMOOTH = 10  # characters added to each length before ratios are taken: short texts differ more
BLOCK = 250  # pairs whose lengths are correlated
USUAL = 0.5  # correlation that most blocks must have, if those without are to mean anything
LOST = 0.2  # correlation of a block that is out of step
SHIFTS = (-3, -2, -1, 1, 2, 3)  # lines by which the sides may be apart
TOGETHER = 0.5  # correlation of all lengths: with less, no ratio is unusual
ENOUGH = 500  # pairs that say something about all
VARIED = 0.05  # standard deviation of the logarithms of the lengths
DIFFERENT = 0.2  # of pairs with digits on both sides that may have other ones: 16:30 is 4:30 p.m.
FOUND = 0.4  # how much better the lengths must go together when they are shifted so


def ratios(found: Survey) -> np.ndarray:
    """How many times longer than usual one side is than the other, in characters; 1 is usual."""
    source, target = (np.log(side.characters + SMOOTH) for side in (found.source, found.target))
    both = ~(found.source.blank | found.target.blank)
    usual = float(np.median((source - target)[both])) if both.any() else 0.0
    return np.where(both, np.exp(np.abs(source - target - usual)), 1.0)


def outliers(split: str, found: Survey, limit: float) -> Iterator[Finding]:
    """Pairs whose lengths do not go together, in a corpus where they usually do."""
    if correlation(found) < TOGETHER:
        return
    far = ratios(found) > limit
    total = len(found)
    if count := int(far.sum()):
        yield Finding(
            "ratio",
            "check" if count >= 0.005 * total else "note",
            split,
            f"{count:,} of {total:,} pairs ({percent(count, total)}) have one side more than {limit:g} times as long "
            "as its other side usually is",
            count,
            advice="look whether they belong together",
        ).at(np.flatnonzero(far))


@dataclass(frozen=True)
class Stretch:
    """Pairs `start` to `end` - 1 whose lengths do not go together; with targets `shift` lines later they do (0: with no
    shift tried)."""

    start: int
    end: int
    shift: int


def out_of_step(sources: np.ndarray, targets: np.ndarray) -> list[Stretch]:
    """Stretches in which line N of one side does not belong to line N of the other, by their lengths."""
    x, y = np.log(sources + 1.0), np.log(targets + 1.0)
    blocks = len(x) // BLOCK
    if blocks < 4:
        return []
    usual = correlations(x, y)
    if np.sort(usual)[blocks - blocks // 4 - 1] < USUAL:  # a quarter of the text may be in order, but not less
        return []
    shifted = {shift: correlations(x, np.roll(y, -shift)) for shift in SHIFTS}
    best = np.array([max(shifted, key=lambda shift: shifted[shift][block]) for block in range(blocks)])
    better = np.array([shifted[shift][block] for block, shift in enumerate(best)])
    lost = (usual < LOST) & (better > np.maximum(USUAL, usual + FOUND))
    found: list[Stretch] = []
    for block in np.flatnonzero(lost).tolist():
        start, end, shift = block * BLOCK, (block + 1) * BLOCK, int(best[block])
        if found and found[-1].shift == shift and start - found[-1].end <= BLOCK:
            found[-1] = Stretch(found[-1].start, end, shift)
        else:
            found.append(Stretch(start, end, shift))
    return [_with_edges(x, y, stretch) for stretch in found]


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation in each block of BLOCK values; 0 where a side does not vary."""
    blocks = len(x) // BLOCK
    a, b = (values[: blocks * BLOCK].reshape(blocks, BLOCK) for values in (x, y))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return (a * b).sum(1) / np.maximum(scale, 1e-9)


def _with_edges(x: np.ndarray, y: np.ndarray, stretch: Stretch) -> Stretch:
    """The stretch with the edges at which the shifted lengths begin and cease to be the better ones."""
    usual = float(np.median(x - y))
    gain = np.abs(x - y - usual) - np.abs(x - np.roll(y, -stretch.shift) - usual)
    before = max(stretch.start - BLOCK, 0)
    start = before + int(np.argmax(np.cumsum(gain[before : stretch.end][::-1])[::-1]))
    after = min(stretch.end + BLOCK, len(x))
    end = start + 1 + int(np.argmax(np.cumsum(gain[start:after])))
    return Stretch(start, end, stretch.shift)


def steps(split: str, found: Survey) -> Iterator[Finding]:
    """Stretches that are out of step."""
    for stretch in out_of_step(found.source.characters, found.target.characters):
        lines = abs(stretch.shift)
        later = f"{lines} line{'s' * (lines > 1)} {'later' if stretch.shift > 0 else 'earlier'}"
        yield Finding(
            "out-of-step",
            "serious",
            split,
            f"about {stretch.end - stretch.start:,} pairs look out of step: each source belongs to the target {later}",
            stretch.end - stretch.start,
            rows=(stretch.start, stretch.end - 1),
            advice="a line is missing or too many near the first of these places; correct it there",
        )


def unrelated(split: str, found: Survey) -> Iterator[Finding]:
    """A split whose lengths go together no better than if one side was shuffled."""
    if correlation(found) < 2 / np.sqrt(len(found)):
        text = "long sources have no longer targets than short ones: the lines may not belong together at all"
        yield Finding("unrelated", "check", split, text, len(found), advice="look at a few pairs; was one file sorted?")


def correlation(found: Survey) -> float:
    """How much the lengths of a split's pairs go together, -1 to 1; 1 where there are too few to say."""
    both = ~(found.source.blank | found.target.blank)
    lengths = [np.log(side.characters[both] + 1.0) for side in (found.source, found.target)]
    if both.sum() < ENOUGH or min(each.std() for each in lengths) < VARIED:
        return 1.0
    return float(np.corrcoef(*lengths)[0, 1])


def numbers(split: str, found: Survey) -> Iterator[Finding]:
    """Pairs with digits on both sides, but not the same ones."""
    both = (found.source.digits != 0) & (found.target.digits != 0)
    different = both & (found.source.digits != found.target.digits)
    count, total = int(different.sum()), int(both.sum())
    if 0 < count <= DIFFERENT * total:  # where more differ, it is usual in this corpus
        yield Finding(
            "numbers",
            "note",
            split,
            f"{count:,} of the {total:,} pairs with digits on both sides ({percent(count, total)}) have different ones",
            count,
            advice="look whether they belong together",
        ).at(np.flatnonzero(different))
