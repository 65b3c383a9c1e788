"""Alignments against gold links: Och and Ney (2003), 'A Systematic Comparison of Various Statistical Alignment Models',
Computational Linguistics 29(1): precision, recall and alignment error rate."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.analysis.attention.alignment import Link
from seq2seq.data.text import read_lines
from seq2seq.errors import DataError

LINK = re.compile(r"(\d+)([-?p])(\d+)", flags=re.ASCII)
FEW = 0.01  # of a file's links may be outside their sentences: an annotation error, not another text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gold:
    """A sentence's gold links: the sure ones, and all that are possible, the sure ones among them."""

    sure: frozenset[Link]
    possible: frozenset[Link]


@dataclass(frozen=True)
class AlignmentError:
    """A = links found, S = sure, P = possible: |A n P| / |A|, |A n S| / |S| and 1 - (|A n S| + |A n P|) / (|A| + |S|).

    From 0 to 1; with nothing found the precision is 1, with nothing sure the recall is.
    """

    precision: float
    recall: float
    aer: float
    found: int
    sure: int
    possible: int


def read_gold(path: Path, lengths: Sequence[tuple[int, int]]) -> list[Gold]:
    """One line per sentence: source-target word indexes from 0, i-j for a sure link, i?j or ipj for a possible one.

    `lengths` are the words of each source and target. Raises DataError naming the line, for links outside their
    sentences if there are more than a few; a few give a warning and count as missed.
    """
    lines = list(read_lines(path))
    if len(lines) != len(lengths):
        raise DataError(f"{path} has {len(lines):,} lines but there are {len(lengths):,} sentence pairs")
    found, outside = [], []
    for number, (line, (sources, targets)) in enumerate(zip(lines, lengths, strict=True), start=1):
        place = f"{path}, line {number}"
        found.append(_gold(line.split(), place))
        outside += [
            f"{place}: link {source}-{target} is outside of {sources} source and {targets} target words, counted from 0"
            for source, target in sorted(found[-1].possible)
            if source >= sources or target >= targets
        ]
    if len(outside) > FEW * sum(len(gold.possible) for gold in found):
        more = f" ({len(outside) - 1:,} more are)" if len(outside) > 1 else ""
        raise DataError(f"{outside[0]}{more}; links are source-target, of the texts as they are split by spaces")
    for line in outside:
        log.warning("%s: it counts as missed", line)
    return found


def alignment_error(found: Iterable[Sequence[Link]], gold: Iterable[Gold]) -> AlignmentError:
    """Over all links of all sentences."""
    links = sure = possible = in_sure = in_possible = 0
    for chosen, right in zip(found, gold, strict=True):
        links, sure, possible = links + len(set(chosen)), sure + len(right.sure), possible + len(right.possible)
        in_sure += len(right.sure.intersection(chosen))
        in_possible += len(right.possible.intersection(chosen))
    return AlignmentError(
        precision=in_possible / links if links else 1.0,
        recall=in_sure / sure if sure else 1.0,
        aer=1.0 - (in_sure + in_possible) / (links + sure) if links + sure else 0.0,
        found=links,
        sure=sure,
        possible=possible,
    )


def _gold(words: Sequence[str], place: str) -> Gold:
    sure, possible = set(), set()
    for word in words:
        match = LINK.fullmatch(word)
        if match is None:
            raise DataError(f"{place}: '{word}' is not a link; write i-j for a sure one, i?j or ipj for a possible one")
        link = int(match[1]), int(match[3])
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return Gold(frozenset(sure), frozenset(possible))
