"""Processes that a test sends signals to: awaited until a state is reached, and killed when the test ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """A process that is killed at the end of the block, with all that it has started; `options` are those of Popen."""
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            for pid in [] if process.returncode is not None else with_descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ProcessLookupError):  # those of its children that have lost it are still in its group
                os.killpg(process.pid, signal.SIGKILL)


def with_descendants(pid: int) -> list[int]:
    """A process and its descendants, parents first; torchrun's have sessions of their own."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def wait_until(reached: Callable[[], bool], process: subprocess.Popen, seconds: float = 120.0) -> None:
    """Wait for a state of a running process. Fails if it ends before, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, f"the process ended before, with {process.returncode}"
        assert time.monotonic() < deadline, f"not reached within {seconds:g} s"
        time.sleep(0.01)


def is_written(path: Path) -> bool:
    """Whether the file exists and is not empty."""
    return path.exists() and path.stat().st_size > 0
