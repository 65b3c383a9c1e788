"""The commands: `seq2seq train ...`, which scripts/train.py is too. Nothing heavy is imported before one is named."""

import ast
import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from seq2seq import __version__
from seq2seq.errors import Seq2SeqError, is_out_of_memory, memory_failure
from seq2seq.streams import finish_output, standard_streams


def _description(path: Path) -> str:
    """What a command does, for the list of all: the first line of its file's docstring."""
    line = (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


# Every other file here is a command: its SCRIPT says all of it, and its docstring what it does.
COMMANDS = {path.stem: _description(path) for path in sorted(Path(__file__).parent.glob("[!_]*.py"))}
# How often a thread of torch looks whether the others are done before it leaves its core to another program. GNU
# OpenMP reads it when torch is imported. Its own 300,000 take milliseconds at each of thousands of operations, if
# another program has the core that a thread needs.
SPINS = "1000"
HELP = """usage: seq2seq COMMAND [key=value ...]

{commands}

seq2seq COMMAND --help describes a command, seq2seq --version prints the version.
"""


def main() -> NoReturn:
    """The installed command, and `python -m seq2seq`."""
    with standard_streams():
        try:
            code = _main(sys.argv[1:])
            finish_output()
        except Seq2SeqError as error:  # of its own output: a command reports itself
            print(error, end="\n" if str(error) else "", file=sys.stderr)
            code = error.exit_code
    sys.exit(code)


def _main(arguments: Sequence[str]) -> int:
    name, *rest = arguments or [""]
    if name in COMMANDS:
        sys.argv = [f"seq2seq {name}", *rest]
        run(name, installed=True)
    if name in ("--version", "-V"):
        print(f"seq2seq {__version__}")
        return 0
    if name in ("--help", "-h"):
        print(_help(), end="")
        return 0
    if not name:
        print(_help(), end="", file=sys.stderr)
        return 2
    close = get_close_matches(name, COMMANDS, n=1)
    guess = f"; did you mean {close[0]}?" if close else "."
    print(f"seq2seq: there is no command {name!r}{guess} Commands: {', '.join(COMMANDS)}", file=sys.stderr)
    return 2


def _help() -> str:
    return HELP.format(commands="\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items()))


def run(name: str, *, installed: bool = False) -> NoReturn:
    """Run a command with the words of `sys.argv`; `installed`: it was called as `seq2seq NAME`, not as a script."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        command = importlib.import_module(f"seq2seq.commands.{name}")
        from seq2seq.config.command_line.launch import launch
        from seq2seq.config.command_line.program import called_as
    except KeyboardInterrupt:  # importing takes seconds
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        failure = memory_failure("starting")
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)
    called_as(installed=installed)
    launch(command.SCRIPT)
