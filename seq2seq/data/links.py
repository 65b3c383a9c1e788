"""Files of word alignments in the Pharaoh format: one line per pair, 0-0 2-1 for source and target words from 0."""

import re
from pathlib import Path

from seq2seq.data.text import read_lines
from seq2seq.errors import DataError

LINE = re.compile(r"\s*(\d+-\d+(\s+\d+-\d+)*)?\s*", flags=re.ASCII)


def read_links(path: Path, pairs: int, *, key: str) -> list[list[tuple[int, int]]]:
    """The links of each pair, (source word, target word); `key` is the setting that names the file.

    Raises DataError, naming the line, for other text and for a file without a line for each of the `pairs`.
    """
    lines = list(read_lines(path))
    if len(lines) != pairs:
        raise DataError(
            f"{key}={path} has {len(lines):,} lines but there are {pairs:,} pairs; each needs one, which may be empty"
        )
    return [_links(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _links(line: str, place: str) -> list[tuple[int, int]]:
    if not LINE.fullmatch(line):
        raise DataError(f"{place}: expected links of words counted from 0, as in 0-0 2-1, found {line.strip()[:40]!r}")
    return [(int(source), int(target)) for source, target in (link.split("-") for link in line.split())]
