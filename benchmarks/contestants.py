"""Programs that are measured side by side: all are started and set up first, then each runs once in every round.

So whatever else the machine does affects all of them alike, and the ratios within a round are reliable even where the
figures themselves are not. The programs' side of the protocol is in peers/turns.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A program in a model and a precision, and the command that starts it."""

    program: str
    model: str
    precision: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.program}, {self.model}, {self.precision}"


def ours(script: str, model: str, precision: str, *arguments: str) -> Contestant:
    """A script of this folder, run by this Python."""
    return Contestant("ours", model, precision, (sys.executable, str(HERE / script), *arguments))


def peer(program: str, script: str, model: str, precision: str, *arguments: str) -> Contestant:
    """A script of peers/, run by the Python of the peers' environment."""
    return Contestant(program, model, precision, (str(PEERS), str(HERE / "peers" / script), *arguments))


def peers_wanted(choice: str) -> bool:
    """Whether peers are wanted (auto, not none) and installed; if they are missing, a message goes to stderr."""
    if choice == "auto" and not PEERS.exists():
        print(
            f"No peers: there is no {PEERS}; make benchmark-peers installs them. Ours is measured alone.",
            file=sys.stderr,
        )
    return choice == "auto" and PEERS.exists()


class Field:
    """A context manager that holds contestants ready to run. One that fails is reported on stderr and left out; the
    others continue.

    After `seconds`, if given, all contestants are killed, which counts as a failure.
    """

    def __init__(self, contestants: Iterable[Contestant], threads: int, seconds: float | None = None) -> None:
        self._contestants = list(contestants)
        self._threads = threads
        self._running: dict[Contestant, _Running] = {}
        self._alarm = None if seconds is None else threading.Timer(seconds, self._cut_off)
        self._too_late = False
        self.versions: dict[str, dict[str, str]] = {}
        self.failures: dict[Contestant, str] = {}

    def __enter__(self) -> Self:
        if self._alarm is not None:
            self._alarm.start()
        try:
            for contestant in self._contestants:  # one after the other: none sets itself up while another runs
                self._running[contestant] = _Running(contestant.command, self._threads)
                answer = self._answer(contestant)
                if answer is not None:
                    self.versions[contestant.program] = answer["versions"]
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def round(self, word: str) -> dict[Contestant, Figures]:
        """Everyone's turn, one after the other; what each of those that are left has measured."""
        figures: dict[Contestant, Figures] = {}
        for contestant, running in list(self._running.items()):
            running.send(word)
            answer = self._answer(contestant)
            if answer is not None:
                figures[contestant] = answer
        return figures

    def rounds(self, words: Iterable[str]) -> dict[Contestant, list[Figures]]:
        """The figures of all rounds, of those that came through all of them."""
        every = [self.round(word) for word in words]
        return {contestant: [figures[contestant] for figures in every] for contestant in self._running}

    def _answer(self, contestant: Contestant) -> Figures | None:
        answer = self._running[contestant].answer()
        if answer is None:
            why = self._running.pop(contestant).last_words()
            why = "cut off, for its time was over" if self._too_late else why
            self.failures[contestant] = why
            print(f"{contestant} failed and is left out: {why}", file=sys.stderr)
        return answer

    def _cut_off(self) -> None:
        self._too_late = True
        for running in list(self._running.values()):
            running.kill()

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        for running in self._running.values():
            running.stop()


class _Running:
    """One program's process."""

    def __init__(self, command: tuple[str, ...], threads: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    def send(self, word: str) -> None:
        """Write a word to its stdin; if it has ended, `answer` will notice."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def answer(self) -> Figures | None:
        """The next line of its stdout; None if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def last_words(self) -> str:
        """How it ended."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().split("\n")
        return f"exit code {code}: {lines[-1]}"

    def kill(self) -> None:
        """Kill it at once; `answer` will notice."""
        self._process.kill()

    def stop(self) -> None:
        """No more turns: it ends by itself, and is killed where it does not."""
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
