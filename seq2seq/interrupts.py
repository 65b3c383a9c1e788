"""Signals that end a command outside its training loop, as exceptions, so that clean-up code runs."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

T = TypeVar("T")
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)  # batch systems send any of them
IN_BACKGROUND = "in background"  # the name of the thread


class Interrupted(KeyboardInterrupt):
    """A signal that asks the process to end was received; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _Work:
    """Whether an abandoned thread is still running."""

    abandoned = False


@contextmanager
def interruptible() -> Iterator[None]:
    """The signals in ENDING raise Interrupted, as SIGINT raises KeyboardInterrupt. Ignored signals stay ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    usual = []
    if threading.current_thread() is threading.main_thread():
        usual = [each for each in ENDING if signal.getsignal(each) is signal.SIG_DFL]
    for number in usual:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in usual:
            signal.signal(number, signal.SIG_DFL)


def in_background(work: Callable[[], T]) -> T:
    """work() in its own thread, so that signals are handled immediately even during one long operation of a library.
    After an interruption the thread is abandoned:

    end such a process with `end`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        done.set()

    done = threading.Event()
    try:
        threading.Thread(target=run, daemon=True, name=IN_BACKGROUND).start()
        done.wait()
    except BaseException:
        _Work.abandoned = not done.is_set()
        raise
    if errors:
        raise errors[0]
    return results[0]


def end(code: int) -> NoReturn:
    """End the process without waiting for an abandoned thread."""
    if _Work.abandoned:
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
