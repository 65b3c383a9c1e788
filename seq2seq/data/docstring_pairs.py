"""What the docstrings of Python files have to learn from, mined on all cores: parsing takes 8 ms a file.

This module and what it imports do without torch, so that a process is there in half a second.
"""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from seq2seq.data.definitions import Definition, definitions
from seq2seq.data.docstring_prose import letters, summary_and_body

SUMMARY_WORDS = range(4, 33)
LEAST_BODY_WORDS = 12
LEAST_LETTERS = 0.75  # of a summary's characters
NO_SUMMARY = re.compile(
    r"\bdeprecated\b|^(?:alias|same as|see|todo|fixme|inherited|overrides?|initialize self)\b", re.I
)
FILES_A_PROCESS = 500  # at least: fewer are read sooner than it has started
FILES_AT_A_TIME = 16


@dataclass(frozen=True)
class Described:
    """A definition's signature, its docstring's first sentence, and the prose after it."""

    signature: str
    summary: str
    body: str


def described_in(files: Sequence[Path]) -> Iterator[list[Described] | None]:
    """Of each file, in order: what is worth learning from; None for a file that cannot be read as Python.

    Many files are read by a process on each core. These import the program's main module anew, as `multiprocessing`
    does wherever it spawns: a script of one's own needs its `if __name__ == "__main__":`.
    """
    processes = min(os.cpu_count() or 1, len(files) // FILES_A_PROCESS)
    if processes <= 1:
        yield from map(_described, files)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _leave_interrupts_to_the_parent)
    try:
        yield from pool.map(_described, files, chunksize=FILES_AT_A_TIME)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _described(file: Path) -> list[Described] | None:
    try:
        found = list(definitions(file.read_bytes()))
    except (OSError, ValueError):
        return None
    return list(filter(None, map(_worthwhile, found)))


def _worthwhile(definition: Definition) -> Described | None:
    """None where there is too little to learn from."""
    if len(definition.docstring.split()) < SUMMARY_WORDS[0] + LEAST_BODY_WORDS:
        return None
    summary, body = summary_and_body(definition.docstring)
    sensible = (
        len(summary.split()) in SUMMARY_WORDS
        and len(body.split()) >= LEAST_BODY_WORDS
        and letters(summary) >= LEAST_LETTERS
        and not summary.endswith(":")
        and not NO_SUMMARY.search(summary)
        and (summary.endswith((".", "!", "?")) or not body[0].islower())  # or the sentence goes on in the body
        and f"{definition.signature}{summary}{body}".replace("\n", "").isprintable()
    )
    return Described(definition.signature, summary, body) if sensible else None
