"""Parallel files that a training would refuse: what is wrong with all of their lines, not only the first."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from seq2seq.data.checks.alignment import Stretch, out_of_step
from seq2seq.data.checks.findings import Finding
from seq2seq.data.files import ParallelFiles
from seq2seq.data.stored import SIDES
from seq2seq.data.text import TextData, read_lines
from seq2seq.errors import DataError


def unreadable(data: TextData, split: str, error: DataError, *, needed: bool) -> Iterator[Finding]:
    """What is wrong with a split that raised `error`; raises it again if there is nothing more to say on a split that
    is `needed`."""
    files = data.files[split] if isinstance(data, ParallelFiles) else ()
    if not files or not all(path.is_file() for path in files):
        if needed:
            raise error
        yield Finding("unreadable", "note", split, f"cannot be read: {error}", 0, advice="evaluation needs it")
        return
    try:
        lengths, damaged = zip(*(_read(path) for path in files), strict=True)
    except DataError:  # a damaged compressed file
        raise error from None
    for path, side, rows in zip_longest(files, SIDES, damaged):
        if rows:
            text = f"{len(rows):,} lines of {path} are not UTF-8"
            advice = f"iconv -f WINDOWS-1252 -t UTF-8 {path} if all of it is; else correct these lines"
            yield Finding("encoding", "serious", split, text, len(rows), side=side, advice=advice).at(rows)
    counts = list(map(len, lengths))
    if len(set(counts)) > 1:
        yield _unequal(split, files, lengths)
    elif not any(damaged):
        raise error


def _read(path: Path) -> tuple[np.ndarray, list[int]]:
    """The characters of each line of a file, and the lines that are not UTF-8, from 0."""
    lengths: list[int] = []
    damaged: list[int] = []
    for line in read_lines(path, lambda _: damaged.append(len(lengths))):
        lengths.append(len(line))
    return np.array(lengths), damaged


def _unequal(split: str, files: Sequence[Path], lengths: Sequence[np.ndarray]) -> Finding:
    counts = list(map(len, lengths))
    other = next(place for place, count in enumerate(counts) if count != counts[0])
    text = f"{files[0]} has {counts[0]:,} lines but {files[other]} has {counts[other]:,}"
    shorter = min(counts[0], counts[other])
    stretches = out_of_step(lengths[0][:shorter], lengths[other][:shorter])
    finding = Finding("unequal", "serious", split, text, abs(counts[0] - counts[other]))
    if not stretches:
        return Finding(**{**vars(finding), "advice": "find the line that is missing or too many"})
    return Finding(**{**vars(finding), "text": f"{text}; {_since(stretches)}", "rows": (stretches[0].start,)})


def _since(stretches: Sequence[Stretch]) -> str:
    return f"by their lengths they are out of step from about line {stretches[0].start + 1:,} on"
