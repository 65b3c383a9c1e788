"""How a user calls our commands: as scripts of a checkout, or as the command that was installed."""


class _Called:
    """Whether this process was started as `seq2seq NAME`."""

    installed = False


def called_as(*, installed: bool) -> None:
    """Say how this process was started; messages then name commands in the same way."""
    _Called.installed = installed


def program(command: str) -> str:
    """The first words of a command line: seq2seq train, or python scripts/train.py."""
    return f"seq2seq {command}" if _Called.installed else f"python scripts/{command}.py"


def under_torchrun(command: str) -> str:
    """The same after `torchrun --nproc-per-node N`."""
    return f"-m seq2seq {command}" if _Called.installed else f"scripts/{command}.py"
