"""Files of word alignments in the Pharaoh format: one line per pair, 0-0 2-1 for source and target words from 0."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seq2seq.data.text import read_lines
from seq2seq.errors import DataError

LINE = re.compile(r"\s*(\d{1,6}-\d{1,6}(\s+\d{1,6}-\d{1,6})*)?\s*", flags=re.ASCII)
FEW = 0.01  # of a file's links may be outside their sentences: mistakes of an aligner, not another text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WordLinks:
    """The links of pair i are words[offsets[i]:offsets[i + 1]], rows of a source and a target word, int32 [N 2]."""

    words: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, pair: int) -> np.ndarray:
        """The links of a pair."""
        return self.words[self.offsets[pair] : self.offsets[pair + 1]]

    def turned(self) -> Iterator[list[tuple[int, int]]]:
        """Those of each pair as (target word, source word)."""
        for pair in range(len(self)):
            yield [(right, left) for left, right in self.of(pair).tolist()]

    def check(self, lengths: Iterable[tuple[int, int]], place: str) -> None:
        """Raise DataError if more than a few links are outside their sentences, of these source and target words each;
        a few are reported and not used."""
        limits = np.repeat(np.array(list(lengths), np.int64).reshape(-1, 2), np.diff(self.offsets), 0)
        outside = np.any(self.words >= limits, axis=1)
        if not outside.any():
            return
        first = int(outside.argmax())
        pair = int(np.searchsorted(self.offsets, first, "right"))
        (source, target), (sources, targets) = self.words[first].tolist(), limits[first].tolist()
        line = f"{place}, line {pair}: link {source}-{target} is outside of {sources} source and {targets} target words"
        more = f" ({int(outside.sum()):,} of {len(outside):,} links are outside)"
        if outside.mean() > FEW:
            raise DataError(f"{line}{more}; links are source-target, of the texts as they are split by spaces")
        log.warning("%s%s; these are not used", line, more)


def read_links(path: Path, pairs: int, *, key: str) -> WordLinks:
    """The links of each pair; `key` is the setting that names the file.

    Raises DataError, naming the line, for other text and for a file without a line for each of the `pairs`.
    """
    words, counts = [], []
    for number, line in enumerate(read_lines(path), start=1):
        if not LINE.fullmatch(line):
            found = line.strip()[:40]
            raise DataError(
                f"{path}, line {number}: expected links of words counted from 0, as in 0-0 2-1, found {found!r}"
            )
        numbers = np.array(line.replace("-", " ").split(), np.int32)
        words.append(numbers)
        counts.append(len(numbers) // 2)
    if len(counts) != pairs:
        raise DataError(
            f"{key}={path} has {len(counts):,} lines but there are {pairs:,} pairs; each needs one, which may be empty"
        )
    flat = np.concatenate(words) if words else np.zeros(0, np.int32)
    return WordLinks(flat.reshape(-1, 2), np.concatenate(([0], np.cumsum(counts, dtype=np.int64))))
