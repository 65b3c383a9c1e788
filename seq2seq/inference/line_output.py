"""Results as lines, to a file or to stdout."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seq2seq.checkpoint.storage import replace_file, storage_errors
from seq2seq.errors import ConfigError
from seq2seq.streams import visible

_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # what str.splitlines splits at


def check_output(output: str | None, read: Mapping[str, str | None]) -> None:
    """Raises ConfigError if `output` is a file that one of these keys reads: opening it for writing would empty it."""
    for key, path in read.items():
        if output is None or path is None or not (Path(output).exists() and Path(path).exists()):
            continue
        if Path(path).samefile(output):
            same = "the input itself" if key == "input" else f"the same file as {key}={path}"
            raise ConfigError(f"output={output} is {same}: name another file")


@contextmanager
def line_writer(path: str | None) -> Iterator[Callable[[Sequence[str]], None]]:
    """A function that writes lines to the file (None: stdout) and flushes them. Raises StorageError naming it, or
    ClosedPipe.

    Text is UTF-8; an unpaired surrogate, which UTF-8 does not allow, is written as in JSON: \\ud800. A terminal shows
    characters that would control it as escapes; files and pipes get the lines unchanged.
    """
    doing = f"write {path or 'to stdout'}"
    shown = visible if path is None and sys.stdout.isatty() else str
    stream: IO[bytes]
    with storage_errors(doing):
        stream = sys.stdout.buffer if path is None else Path(path).open("wb")  # noqa: SIM115

    def write(lines: Sequence[str]) -> None:
        with storage_errors(doing):
            stream.write("".join(f"{shown(line)}\n" for line in lines).encode(errors="backslashreplace"))
            stream.flush()

    try:
        yield write
    finally:
        if path is not None:
            with storage_errors(doing):  # closing writes too: what could not be written before, and on a network disk
                stream.close()


def one_line(text: str) -> str:
    """The text with a space for each line break inside it: LF, and what other programs split lines at (CR, U+2028)."""
    return _BREAK.sub(" ", text)


def write_text(path: str, text: str) -> None:
    """Write a file that a user named: replaced atomically, or, if it is a pipe or a device, written into."""
    file = Path(path).resolve() if Path(path).is_file() else Path(path)
    if file.is_file() or not file.exists():
        return replace_file(file, text)
    with storage_errors(f"write {path}"), file.open("wb") as stream:
        stream.write(text.encode(errors="backslashreplace"))
