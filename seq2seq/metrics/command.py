"""Runs a command that reads from stdin and writes to stdout, without a shell."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from subprocess import PIPE

SHOWN = 300  # characters of the last line on stderr


class CommandError(Exception):
    """A command that failed; the message continues '<command> ...'."""


def answer_of(words: Sequence[str], text: bytes, timeout: float | None) -> str:
    """What the command writes to stdout when it gets `text` on stdin.

    Its processes are ended if it takes longer than `timeout` seconds, and if this process is told to stop. Raises
    CommandError if it cannot be started, takes too long or ends with another exit code than 0.
    """
    try:
        process = subprocess.Popen(words, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)
    except OSError as error:
        raise CommandError(f"cannot be started: {error.strerror or error}") from error
    with process:
        try:
            written, complaints = process.communicate(text, timeout)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CommandError(f"took longer than {timeout:g} seconds (its timeout)") from error
            raise
    if process.returncode:
        raise CommandError(f"{_ending(process.returncode)}{_last_line(complaints)}")
    return written.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _last_line(complaints: bytes) -> str:
    """What the command said last on stderr: of a Python program, the error."""
    lines = [line.strip() for line in complaints.decode(errors="replace").split("\n") if line.strip()]
    return f": {lines[-1][:SHOWN]}" if lines else ""
