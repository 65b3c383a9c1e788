"""Failing stdin, stdout and stderr: our own errors for input and results, none for messages."""

import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from seq2seq import commands
from seq2seq.config.command_line.launch import _guarded
from seq2seq.errors import ClosedPipe, DataError, Seq2SeqError, StorageError
from seq2seq.streams import VisibleFormatter, finish_output, standard_streams, visible


def pipe_without_reader(encoding: str = "utf-8") -> IO[str]:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", encoding=encoding)


def full_disk() -> IO[str]:
    return Path("/dev/full").open("w", encoding="utf-8")  # every write fails with 'No space left on device'


def closed() -> None:
    """None: what Python sets for a stream that is closed when the process starts (`>&-`)."""


BROKEN: list[tuple[Callable[[], IO[str] | None], type[Seq2SeqError], str, int]] = [
    (full_disk, StorageError, "cannot write to stdout: No space left on device", 5),
    (pipe_without_reader, ClosedPipe, "^$", 141),
    (closed, StorageError, "cannot write to stdout: Bad file descriptor", 5),
]


def replace(monkeypatch: pytest.MonkeyPatch, name: str, stream: IO[str] | None) -> IO[str] | None:
    """Make `stream` the process's stream of this name."""
    monkeypatch.setattr(sys, name, stream)
    return stream


@pytest.mark.parametrize(("stream", "kind", "message", "code"), BROKEN)
@pytest.mark.parametrize("lines", [1, 10_000])
def test_failing_stdout_raises_once(
    monkeypatch: pytest.MonkeyPatch,
    stream: Callable[[], IO[str] | None],
    kind: type[Seq2SeqError],
    message: str,
    code: int,
    lines: int,
) -> None:
    replace(monkeypatch, "stdout", stream())
    with standard_streams():
        with pytest.raises(kind, match=message) as caught:
            for number in range(lines):
                print("result", number)
            finish_output()
        assert caught.value.exit_code == code
        print("after that")
        finish_output()


@pytest.mark.parametrize(("stream", "kind", "message", "code"), BROKEN)
def test_a_script_with_failing_stdout_prints_at_most_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    stream: Callable[[], IO[str] | None],
    kind: type[Seq2SeqError],
    message: str,
    code: int,
) -> None:
    replace(monkeypatch, "stdout", stream())

    def task() -> int:
        print("a result")
        return 0

    with standard_streams():
        assert _guarded(task) == code
    printed = capfd.readouterr().err
    assert re.match(message, printed)
    assert printed.count("\n") == (0 if code == 141 else 1)


@pytest.mark.parametrize("stream", [full_disk, pipe_without_reader, closed])
def test_failing_stderr_is_ignored(monkeypatch: pytest.MonkeyPatch, stream: Callable[[], IO[str] | None]) -> None:
    replace(monkeypatch, "stderr", stream())
    done = []

    def task() -> int:
        for number in range(3):
            print("a message" * 5000, file=sys.stderr)
            sys.stderr.flush()
            done.append(number)
        return 0

    with standard_streams():
        assert _guarded(task) == 0
    assert done == [0, 1, 2]


def test_unreadable_stdin_is_a_data_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "unreadable").open("w") as unreadable:
        for stream in (None, unreadable):
            replace(monkeypatch, "stdin", stream)  # type: ignore[arg-type]
            with standard_streams(), pytest.raises(DataError, match="stdin cannot be read: Bad file descriptor"):
                sys.stdin.buffer.readline()


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "é漢", "é漢".encode()),
        ("ascii", "é漢 a", b"\\xe9\\u6f22 a"),
        ("latin-1", "é漢", b"\xe9\\u6f22"),
        ("utf-8", "name-\udce9.txt", b"name-\\udce9.txt"),  # a file name that is not UTF-8, in Python
    ],
)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_every_character_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, encoding: str, text: str, written: bytes
) -> None:
    with (tmp_path / "out").open("w", encoding=encoding) as stream:
        replace(monkeypatch, name, stream)
        with standard_streams():
            print(text, file=getattr(sys, name))
    assert (tmp_path / "out").read_bytes() == written + b"\n"


def test_the_streams_are_restored(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    with pytest.raises(RuntimeError), standard_streams():
        print("buffered", end="")
        raise RuntimeError
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert capfd.readouterr().out == "buffered"


@pytest.mark.parametrize("word", ["--version", "--help"])
@pytest.mark.parametrize(("stream", "code"), [(full_disk, 5), (pipe_without_reader, 141)])
def test_version_and_help_report_failing_stdout(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    word: str,
    stream: Callable[[], IO[str] | None],
    code: int,
) -> None:
    replace(monkeypatch, "stdout", stream())
    monkeypatch.setattr(sys, "argv", ["seq2seq", word])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == code
    assert capfd.readouterr().err.count("\n") == (1 if code == 5 else 0)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("über 日本 \N{GRINNING FACE}\n\tab", "über 日本 \N{GRINNING FACE}\n\tab"),
        ("\x1b[31mred\x07\r\x7f\x9b", "\\x1b[31mred\\x07\\x0d\\x7f\\x9b"),
        ("a\u202eb\u2066c\u200f\u2028", "a\\u202eb\\u2066c\\u200f\\u2028"),
        ("lat\udce9in.src", "lat\\xe9in.src"),
        ("\ud800", "\\ud800"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_control_characters_are_escaped(text: str, seen: str) -> None:
    assert visible(text) == seen
    record = logging.makeLogRecord({"msg": "%s read", "args": (text,)})
    assert VisibleFormatter("%(message)s").format(record) == f"{seen} read"
