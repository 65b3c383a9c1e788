"""Results as lines, to a file or to stdout."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from seq2seq.checkpoint.storage import storage_errors
from seq2seq.errors import ConfigError


def check_output(output: str | None, read: Mapping[str, str | None]) -> None:
    """Raises ConfigError where `output` is a file that one of these keys reads: writing would empty it before."""
    for key, path in read.items():
        if output is None or path is None or not (Path(output).exists() and Path(path).exists()):
            continue
        if Path(path).samefile(output):
            same = "the input itself" if key == "input" else f"the same file as {key}={path}"
            raise ConfigError(f"output={output} is {same}: name another file")


@contextmanager
def line_writer(path: str | None) -> Iterator[Callable[[Sequence[str]], None]]:
    """What writes lines to the file (None: stdout), each call at once. Raises StorageError naming it."""
    with ExitStack() as stack:
        stream = sys.stdout.buffer if path is None else stack.enter_context(_open(path))

        def write(lines: Sequence[str]) -> None:
            with storage_errors(f"write {path or 'to stdout'}"):
                stream.write("".join(line + "\n" for line in lines).encode())
                stream.flush()

        yield write


def _open(path: str) -> IO[bytes]:
    with storage_errors(f"write {path}"):
        return Path(path).open("wb")
