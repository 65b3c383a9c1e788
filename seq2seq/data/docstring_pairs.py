"""What the docstrings of Python files have to learn from, mined on all cores: parsing takes 8 ms a file.

`python -m seq2seq.data.docstring_pairs` is one of the processes that share the work: a list of files in, a line for
each file out, both as JSON. Neither this module nor what it imports needs torch, so it begins at once.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from seq2seq.data.definitions import Definition, definitions
from seq2seq.data.docstring_prose import letters, summary_and_body
from seq2seq.errors import DataError

SUMMARY_WORDS = range(4, 33)
LEAST_BODY_WORDS = 12
LEAST_LETTERS = 0.75  # of a summary's characters
NO_SUMMARY = re.compile(
    r"\bdeprecated\b|^(?:alias|same as|see|todo|fixme|inherited|overrides?|initialize self)\b", re.I
)
FILES_A_PROCESS = 500  # at least: fewer are read sooner than it has started
ROOT = Path(__file__).parents[2]  # where `seq2seq` is found


class Described(NamedTuple):
    """A definition's signature, its docstring's first sentence, and the prose after it."""

    signature: str
    summary: str
    body: str


def described_in(files: Sequence[Path]) -> Iterator[list[Described] | None]:
    """Of each file, in order: what is worth learning from; None for a file that cannot be read as Python.

    Many files are shared by processes, one a core. Raises DataError where such a process dies.
    """
    processes = min(os.cpu_count() or 1, len(files) // FILES_A_PROCESS)
    if processes <= 1:
        yield from map(_described, files)
        return
    with ExitStack() as stack:
        answers = [stack.enter_context(_answers(files[first::processes])) for first in range(processes)]
        for number, file in enumerate(files):
            if not (line := answers[number % processes].readline()):
                raise DataError(f"{file}: the process that read it has died")
            found = json.loads(line)
            yield None if found is None else [Described(*parts) for parts in found]


@contextmanager
def _answers(files: Sequence[Path]) -> Iterator[IO[str]]:
    """A process' lines on these files. It is in a session of its own, so that Ctrl-C is told to its parent alone."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "seq2seq.data.docstring_pairs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            json.dump([str(file) for file in files], process.stdin)
            process.stdin.close()
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


if __name__ == "__main__":
    for name in json.load(sys.stdin):
        print(json.dumps(_described(Path(name))))
