"""The progress of a training: a bar with loss, speed and time left, and a table after each validation.

On a terminal the bar stays at the bottom and everything else is written above it; elsewhere (a file, a pipe, a batch
job) there are plain lines, one for each report.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from seq2seq.heartbeat import heartbeat
from seq2seq.streams import visible

log = logging.getLogger(__name__)

ROWS_SHOWN = 8  # validations in the table: the latest, and the best one
DIGITS = {"loss": ".3f", "nll": ".3f", "grad_norm": ".3f", "lr": ".3g", "epoch": ".3g", "tokens_per_second": ",.0f"}
DIGITS |= {"peak_memory": ",.0f"}
DIGITS |= dict.fromkeys(("bleu", "chrf", "ter", "rouge1", "rouge2", "rougeL", "rougeLsum"), ".2f")


class Progress:
    """Reports on a run that ends at `total_updates` or after `max_minutes`, whichever comes first; either may be None.

    `start_update` and `elapsed_minutes` are the updates and the time of earlier sessions; of several processes only one
    has a `bar`. `busy` takes a text on what the run does; without a terminal it is logged if nothing else was for ten
    seconds. Use it as a context manager: while the bar is shown, log handlers that write to stderr write above it.
    """

    def __init__(
        self,
        total_updates: int | None,
        max_minutes: float | None,
        start_update: int,
        elapsed_minutes: float,
        *,
        bar: bool = True,
    ) -> None:
        self._clock = Clock(total_updates, max_minutes, start_update, elapsed_minutes)
        self._validations: list[tuple[int, dict[str, float]]] = []
        self._best: int | None = None
        self._values = ""
        self._console = Console(file=sys.stderr)
        self._live = bar and sys.stderr.isatty() and not self._console.is_dumb_terminal
        self._bar = Bar(
            TextColumn("[bold]{task.fields[place]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[values]}"),
            LeftColumn(self._clock),
            console=self._console,
            refresh_per_second=4,
            redirect_stdout=False,
            disable=not self._live,
        )
        self._task: TaskID = self._bar.add_task("training", total=1.0, place="", values="")
        self._turned: list[logging.StreamHandler] = []
        self._open = ExitStack()
        self._warned: set[str] = set()
        self.busy: Callable[[str], None] = lambda text: None

    def __enter__(self) -> Self:
        self._clock.start()
        self._bar.start()
        if self._live:
            self._turn_handlers()
        else:
            self.busy = self._open.enter_context(heartbeat("still training"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._bar.stop()
        for handler in self._turned:
            handler.setStream(sys.stderr)

    def update(self, update: int, values: Mapping[str, float]) -> None:
        """The run has done `update` updates; `values`, if there are any, are the latest numbers by their tags.

        Shown are train/epoch, train/loss and train/tokens_per_second; without a terminal, one line with all of them.
        """
        self._clock.update = update
        self._values = bar_values(values) or self._values
        self._bar.update(self._task, completed=self._clock.share(), place=self._clock.place(), values=self._values)
        if values and not self._live:
            log.info("%s: %s, %s", self._clock.place(), line_values(values), self._clock.left_text())

    def plan(self, total_updates: int) -> None:
        """Set the planned number of updates."""
        self._clock.total = total_updates

    def validated(self, update: int, scores: Mapping[str, float], best: bool) -> None:
        """Report a validation's scores by their tags; `best`: no earlier one was better."""
        self._validations.append((update, dict(scores)))
        self._best = update if best else self._best
        if self._live:
            self._console.print(validation_table(self._validations, self._best))
        else:
            log.info(
                "validation at update %s: %s%s", f"{update:,}", line_values(scores), " (best so far)" if best else ""
            )

    def warn_once(self, text: str) -> None:
        """Log a warning, each text only once."""
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)

    def note(self, text: str) -> None:
        """Print one line, above the bar."""
        if self._live:
            self._console.print(Text(visible(text)))
        else:
            log.info("%s", text)

    def _turn_handlers(self) -> None:
        """Redirect handlers of the terminal's own stderr, which would write into the bar, to rich's replacement of
        sys.stderr, which writes above it."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._console.file:
                handler.setStream(sys.stderr)
                self._turned.append(handler)


@contextmanager
def counting(label: str, total: int, unit: str, *, bar: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for work of known size: call the yielded function with how many more items are done.

    Without a terminal there is no `bar`. At the end a line with the speed is logged.
    """
    console = Console(file=sys.stderr)
    live = bar and sys.stderr.isatty() and not console.is_dumb_terminal
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Bar(*columns, console=console, redirect_stdout=False, disable=not live, transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda more: shown.advance(task, more)
    seconds = time.monotonic() - began
    log.info("%s: %s %s in %.1f s, %.1f per second", label, f"{total:,}", unit, seconds, total / seconds)


class Clock:
    """The progress of a run, and the time left."""

    def __init__(
        self, total_updates: int | None, max_minutes: float | None, start_update: int, elapsed_minutes: float
    ) -> None:
        self.update = start_update
        self.total, self._max_seconds = total_updates, None if max_minutes is None else 60 * max_minutes
        self._start_update, self._before = start_update, 60 * elapsed_minutes
        self._started = time.monotonic()

    def start(self) -> None:
        """The session begins now."""
        self._started = time.monotonic()

    def place(self) -> str:
        """The updates done, and their total if it is known."""
        return f"update {self.update:,}" + (f"/{self.total:,}" if self.total else "")

    def share(self) -> float:
        """How much of the run is done, 0 to 1, by the limit that is nearer."""
        by_updates = self.update / self.total if self.total else 0.0
        by_time = (self._before + self._session()) / self._max_seconds if self._max_seconds else 0.0
        return min(1.0, max(by_updates, by_time))

    def seconds_left(self) -> float | None:
        """Seconds until the first limit is reached, at this session's pace; None if not known yet."""
        limits = []
        done = self.update - self._start_update
        if self.total is not None and self.update >= self.total:
            limits.append(0.0)
        elif self.total is not None and done > 0:
            limits.append((self.total - self.update) * self._session() / done)
        if self._max_seconds is not None:
            limits.append(max(0.0, self._max_seconds - self._before - self._session()))
        return min(limits, default=None)

    def left_text(self) -> str:
        """The time left in words: `1:02:30 left`."""
        seconds = self.seconds_left()
        return "time left unknown" if seconds is None else f"{clock_text(seconds)} left"

    def _session(self) -> float:
        """Seconds since this session began."""
        return time.monotonic() - self._started


class LeftColumn(ProgressColumn):
    """The time left, by the run's own clock, because rich's does not support a limit in minutes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        """The text of the column."""
        return Text(self._clock.left_text(), style="cyan")


def clock_text(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def bar_values(values: Mapping[str, float]) -> str:
    """The few numbers that fit next to the bar."""
    shown = {"train/epoch": "epoch {}", "train/loss": "loss {}", "train/tokens_per_second": "{} tokens/s"}
    return "  ".join(form.format(number_text(tag, values[tag])) for tag, form in shown.items() if tag in values)


def line_values(values: Mapping[str, float]) -> str:
    """All numbers on one line: `train/loss 2.431, train/lr 0.0003`."""
    return ", ".join(f"{tag} {number_text(tag, value)}" for tag, value in values.items())


def number_text(tag: str, value: float) -> str:
    """A number with the digits that suit its tag: a loss has three decimals, a score two."""
    return format(value, DIGITS.get(tag.rpartition("/")[2], ".4g"))


def validation_table(validations: list[tuple[int, dict[str, float]]], best: int | None) -> Table:
    """The latest validations and the best one, which is marked; a column for each tag that any of them has."""
    latest = {update for update, _ in validations[-ROWS_SHOWN:]} | {best}
    shown = [(update, scores) for update, scores in validations if update in latest]
    tags = dict.fromkeys(tag for _, scores in shown for tag in scores)
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in ("update", *tags, ""):
        table.add_column(title, justify="right")
    for update, scores in shown:
        cells = (number_text(tag, scores[tag]) if tag in scores else "" for tag in tags)
        mark, style = ("best", "green") if update == best else ("", None)
        table.add_row(f"{update:,}", *cells, mark, style=style)
    return table
