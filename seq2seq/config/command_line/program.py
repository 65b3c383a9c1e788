"""How a user calls our commands: as scripts of a checkout, or as the command that was installed."""

import shlex
from collections.abc import Sequence


class _Called:
    """Whether this process was started as `seq2seq NAME`."""

    installed = False


def called_as(*, installed: bool) -> None:
    """Say how this process was started; messages then name commands in the same way."""
    _Called.installed = installed


def program(command: str) -> str:
    """The first words of a command line: seq2seq train, or python scripts/train.py."""
    return f"seq2seq {command}" if _Called.installed else f"python scripts/{command}.py"


def command_line(command: str, words: Sequence[str]) -> str:
    """The command with these words, as a shell reads it."""
    return " ".join([program(command), *map(shlex.quote, words)])


def under_torchrun(command: str) -> str:
    """The same after `torchrun --nproc-per-node N`."""
    return f"-m seq2seq {command}" if _Called.installed else f"scripts/{command}.py"
