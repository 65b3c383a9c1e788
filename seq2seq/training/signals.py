"""Signals to stop: announced immediately, and remembered until the training loop can save and stop."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
NO_SIGNAL = 0


class NoSignals:
    """In the place of StopSignal in a program that is not ours: signals are left to it."""

    number: int | None = None

    def __enter__(self) -> "NoSignals":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


class StopSignal:
    """While entered, the first signal is remembered in `number`; a second SIGINT interrupts immediately.

    Python runs signal handlers in the main thread, after its current operation, and one of torch's may take long. So
    `announce` is called at once, in a separate thread. Signals that were ignored before (SIGHUP under nohup) still are,
    except SIGINT: shells make background jobs ignore it, but `kill -INT` is meant to stop them.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        self.number: int | None = None
        self._announce = announce
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> "StopSignal":
        for number in STOPPING:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._remember)  # type: ignore[assignment]
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._writer_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._writer_before)
        os.write(self._writer, bytes([NO_SIGNAL]))  # closing it is not enough: a forked process may hold it open
        self._listener.join()
        os.close(self._writer)
        os.close(self._reader)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    def _listen(self) -> None:
        """Wait for the first signal, or for `__exit__`: Python writes each signal's number into the pipe at once."""
        while (received := os.read(self._reader, 1)[0]) != NO_SIGNAL:
            if received in self._before:
                self._announce()
                return
