"""Taking turns: a measured program waits for a word on stdin, does one repetition, and answers with a line of JSON.

So programs of several environments are ready at the same time and run one after the other, repeatedly. It needs only
the standard library, because our programs and those of the peers import it.
"""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


class Turns:
    """The program's side of it. Whatever libraries print goes to stderr; stdout is for the answers alone."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def ready(self, *packages: str, **facts: Any) -> None:
        """Report that all is set up, with the versions of the packages and further facts for the results."""
        found = {name: version(name) for name in packages}
        self.answer(versions={"python": platform.python_version(), **found}, **facts)

    def wait(self) -> str:
        """The next word; where there is none the program ends."""
        word = sys.stdin.readline()
        if not word:
            raise SystemExit(0)
        return word.strip()

    def answer(self, **figures: Any) -> None:
        """One line."""
        self._answers.write(json.dumps(figures) + "\n")
        self._answers.flush()


class Pace:
    """Divides a training into turns: it is called after every update, and waits when the time of the turn is over.

    The word that starts a turn is its least number of seconds; the update in progress is finished and counted. What
    `more` returns at the end of a turn is part of its answer.
    """

    def __init__(self, turns: Turns, more: Callable[[], dict[str, Any]] = dict) -> None:
        self.turns = turns
        self._more = more

    def begin(self) -> None:
        """Wait for a turn, and start the clock."""
        self._length = float(self.turns.wait())
        self._updates = 0
        self._counts: dict[str, float] = {}
        self._began = time.perf_counter()

    def updated(self, updates: int = 1, **counts: float) -> None:
        """So many updates more are done, which held so many tokens."""
        seconds = time.perf_counter() - self._began
        self._updates += updates
        for name, count in counts.items():
            self._counts[name] = self._counts.get(name, 0) + count
        if seconds >= self._length:
            figures = {"seconds": seconds, "updates": self._updates, **self._counts, "peak_mib": peak_mib()}
            self.turns.answer(**figures, **self._more())
            self.begin()


def decoded(sources: Sequence[Sequence[int]], hypotheses: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What a turn of decoding was: sentences, real tokens of both sides (end symbols counted), and the ids found."""
    return {
        "sentences": len(sources),
        "source_tokens": sum(map(len, sources)) + len(sources),
        "target_tokens": sum(map(len, hypotheses)) + len(hypotheses),
        "peak_mib": peak_mib(),
        "hypotheses": [list(ids) for ids in hypotheses],
    }


def peak_mib(who: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process has held, libraries counted; or the largest of those that it has waited for.

    Linux hands `ru_maxrss` on to every program that a process starts, so it is asked otherwise there for its own.
    """
    status = Path("/proc/self/status")
    if who == resource.RUSAGE_SELF and status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().split("\n") if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 2**10
    largest = resource.getrusage(who).ru_maxrss
    return largest / 2**20 if sys.platform == "darwin" else largest / 2**10
