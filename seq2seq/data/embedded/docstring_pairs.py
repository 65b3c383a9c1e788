"""Summarization pairs from the docstrings of Python files, parsed on all cores at 8 ms per file.

Neither this module nor its imports need torch, so that worker processes start quickly.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from seq2seq.data.embedded.definitions import Definition, definitions
from seq2seq.data.embedded.docstring_prose import letters, summary_and_body
from seq2seq.errors import DataError
from seq2seq.runtime.cores import usable_cores

SUMMARY_WORDS = range(4, 33)
LEAST_BODY_WORDS = 12
LEAST_LETTERS = 0.75  # of a summary's characters
NO_SUMMARY = re.compile(
    r"\bdeprecated\b|^(?:alias|same as|see|todo|fixme|inherited|overrides?|initialize self)\b", re.I
)
FILES_A_PROCESS = 500  # at least: fewer are read faster than a process starts
# Modules are imported from this program's path; -P: not from the working directory.
PROCESS = """
import json, sys
sys.path, files = json.load(sys.stdin)
from seq2seq.data.embedded.docstring_pairs import answer
answer(files)
"""


class Described(NamedTuple):
    """A definition's signature, its docstring's first sentence, and the prose after it."""

    signature: str
    summary: str
    body: str


def described_in(files: Sequence[Path]) -> Iterator[list[Described] | None]:
    """For each file, in order, its usable docstrings; None for a file that cannot be parsed as Python. Many files are
    shared by processes, one per core.

    Raises DataError if these cannot be started, or die.
    """
    processes = min(usable_cores(), len(files) // FILES_A_PROCESS)
    if processes <= 1:
        yield from map(_described, files)
        return
    with ExitStack() as stack:
        answers = [stack.enter_context(_answers(files[first::processes])) for first in range(processes)]
        for number, file in enumerate(files):
            line = answers[number % processes].readline()
            try:
                found = json.loads(line)
            except ValueError as error:
                problem = f"answered {line.strip()[:80]!r}" if line else "has died"
                raise DataError(f"{file}: the process that reads docstrings {problem}") from error
            yield None if found is None else [Described(*parts) for parts in found]


def answer(files: Sequence[str]) -> None:
    """Print a line of JSON for each file, until the reader closes the pipe."""
    try:
        for file in files:
            print(json.dumps(_described(Path(file))), flush=True)
    except BrokenPipeError:
        os._exit(1)


@contextmanager
def _answers(files: Sequence[Path]) -> Iterator[IO[str]]:
    """A process' lines on these files. It has its own session, so that Ctrl-C only reaches its parent."""
    with TemporaryFile("w+", encoding="utf-8") as given:
        json.dump([list(map(str, sys.path)), list(map(str, files))], given)  # a path may have non-string entries
        given.seek(0)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", PROCESS],
                stdin=given,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise DataError(f"no process can be started to read docstrings: {error}") from error
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout
        finally:
            process.kill()


def _described(file: Path) -> list[Described] | None:
    try:
        found = list(definitions(file.read_bytes()))
    except (OSError, ValueError):
        return None
    return list(filter(None, map(_worthwhile, found)))


def _worthwhile(definition: Definition) -> Described | None:
    """None if there is too little text."""
    if len(definition.docstring.split()) < SUMMARY_WORDS[0] + LEAST_BODY_WORDS:
        return None
    summary, body = summary_and_body(definition.docstring)
    sensible = (
        len(summary.split()) in SUMMARY_WORDS
        and len(body.split()) >= LEAST_BODY_WORDS
        and letters(summary) >= LEAST_LETTERS
        and not summary.endswith(":")
        and not NO_SUMMARY.search(summary)
        and (summary.endswith((".", "!", "?")) or not body[0].islower())  # or the sentence continues in the body
        and f"{definition.signature}{summary}{body}".replace("\n", "").isprintable()
    )
    return Described(definition.signature, summary, body) if sensible else None
