"""A signal to stop is announced at once and remembered; ignored signals stay ignored."""

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import pytest

from seq2seq.training.signals import STOPPING, StopSignal


@contextmanager
def handled(number: int, handler: signal.Handlers) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def to_itself(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_the_first_signal_is_remembered_and_announced_once(number: int) -> None:
    announced: list[float] = []
    before = signal.getsignal(number)
    with StopSignal(lambda: announced.append(time.monotonic())) as stop:
        assert stop.number is None
        to_itself(number)
        assert stop.number == number
        to_itself(signal.SIGTERM)
    assert len(announced) == 1
    assert signal.getsignal(number) is before


def test_it_is_announced_during_a_long_operation_outside_python() -> None:
    announced: list[float] = []
    with StopSignal(lambda: announced.append(time.monotonic())):
        Timer(0.05, to_itself, [signal.SIGTERM]).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)  # releases the GIL, like torch
        returned = time.monotonic()
    assert announced[0] < returned - 0.1


def test_a_second_interrupt_raises() -> None:
    with StopSignal(lambda: None), pytest.raises(KeyboardInterrupt):
        to_itself(signal.SIGINT)
        to_itself(signal.SIGINT)


def test_ignored_signals_stay_ignored() -> None:
    """As with nohup. Except SIGINT: shells ignore it for background jobs, which it must still stop."""
    for number in STOPPING:
        with handled(number, signal.SIG_IGN), StopSignal(lambda: None) as stop:
            to_itself(number)
            assert stop.number == (number if number == signal.SIGINT else None)
