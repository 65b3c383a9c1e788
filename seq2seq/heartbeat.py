"""A log line after every ten seconds without another one, so that long work shows progress without a bar."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENCE = 10.0  # seconds

Place = Callable[[str], None]  # called with a text on the progress

log = logging.getLogger(__name__)


class _Lines(logging.Handler):
    """Remembers when a line was last logged. If it is the only handler (`alone`), Python's handler for programs without
    any, which it replaces, still gets the line."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__()
        self.last = time.monotonic()
        self.alone = alone

    def emit(self, record: logging.LogRecord) -> None:
        self.last = time.monotonic()
        usual = logging.lastResort
        if self.alone and usual is not None and record.levelno >= usual.level:
            usual.handle(record)


@contextmanager
def heartbeat(what: str, *, silence: float = SILENCE) -> Iterator[Place]:
    """While the block runs, log `what` and the seconds it has taken after each `silence` seconds without another line.

    Yields a function for a text on the progress, which is logged instead of the seconds.
    """
    package, began, place = logging.getLogger("seq2seq"), time.monotonic(), [""]
    lines, over = _Lines(alone=not package.hasHandlers()), threading.Event()

    def watch() -> None:
        while not over.wait(max(lines.last + silence - time.monotonic(), 0.05)):
            if time.monotonic() - lines.last >= silence:
                log.info("%s: %s", what, place[0] or f"{time.monotonic() - began:.0f} s")

    package.addHandler(lines)
    watcher = threading.Thread(target=watch, name=f"heartbeat of {what}", daemon=True)
    watcher.start()
    try:
        yield lambda text: place.__setitem__(0, text)
    finally:
        over.set()
        package.removeHandler(lines)
        watcher.join()
