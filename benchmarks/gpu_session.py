"""What benchmarks/gpu.py and its parts share: the session, what a part is, and what it found."""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contestants import Contestant, Field


@dataclass(frozen=True)
class Session:
    """The options, a folder for the runs, and the time (of time.monotonic) at which all must be over."""

    options: argparse.Namespace
    folder: Path
    until: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    @property
    def where(self) -> list[str]:
        """The device and the precision as words for our scripts."""
        return [f"device={self.options.device}", f"precision={self.options.precision}"]

    @property
    def more(self) -> list[str]:
        """The words for all trainings that were typed; they come last."""
        return self.options.words.split()

    @property
    def is_dry(self) -> bool:
        """Whether sizes or times are not the real ones, so that targets are neither met nor missed."""
        options = self.options
        return options.device == "cpu" or options.width is not None or options.share != 1 or bool(options.words)

    def seconds(self, usual: float) -> float:
        """The usual time, multiplied by the option --share."""
        return self.options.share * usual

    def field(self, contestants: Iterable[Contestant]) -> Field:
        """They take turns until the time is over."""
        return Field(contestants, self.options.threads, max(1.0, self.left))


@dataclass(frozen=True)
class Outcome:
    """The results of a part: figures for other programs, a summary in one line, whether they meet the target (None: not
    known), and what went wrong."""

    figures: list[dict[str, Any]]
    summary: str = ""
    met: bool | None = None
    failure: str = ""


@dataclass(frozen=True)
class Part:
    """A part, its target, the seconds that it measures, and its overhead in seconds: starts, data, scores."""

    letter: str
    title: str
    target: str
    run: Callable[[Session], Outcome]
    seconds: float
    overhead: float
    corpus: str = ""  # a folder under SEQ2SEQ_DATA
    needs: str = ""  # a file that an earlier part leaves in the session's folder

    def expected(self, session: Session) -> float:
        """Seconds."""
        return session.seconds(self.seconds) + self.overhead


def failures(field: Field) -> str:
    """Of all that failed, in one line."""
    return "; ".join(f"{one}: {why}" for one, why in field.failures.items())


def in_graphs(session: Session) -> str:
    """The word for CUDA graphs, where there can be any."""
    return f"trainer.cuda_graphs={str(session.options.device == 'cuda').lower()}"
