"""Results written to a file, a pipe or a device, and what happens if that fails."""

import io
import json
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from seq2seq.errors import ClosedPipe, StorageError
from seq2seq.inference.line_output import line_writer, one_line, write_text


@pytest.mark.parametrize("lines", [["one"], ["many"] * 10_000])
def test_a_full_disk_is_reported(lines: list[str]) -> None:
    message = "cannot write /dev/full: No space left on device"
    with pytest.raises(StorageError, match=message), line_writer("/dev/full") as write:
        write(lines)


def test_a_failing_close_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def close(self) -> None:
            raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(Path, "open", lambda *_, **__: Stream())
    with pytest.raises(StorageError, match="cannot write out: Disk quota exceeded"), line_writer("out"):
        pass


def test_a_pipe_closed_by_its_reader_gives_no_message(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(ClosedPipe) as caught, line_writer(str(fifo)) as write:
        os.close(reader)
        write(["a line"])
    assert (str(caught.value), caught.value.exit_code) == ("", 141)


def test_an_unpaired_surrogate_is_written_as_a_json_escape(tmp_path: Path) -> None:
    with line_writer(str(tmp_path / "out.jsonl")) as write:
        write([json.dumps({"text": "ü\ud800"}, ensure_ascii=False)])
    written = (tmp_path / "out.jsonl").read_bytes()
    assert written == '{"text": "ü\\ud800"}\n'.encode()
    assert json.loads(written) == {"text": "ü\ud800"}


def test_a_named_file_is_replaced_and_a_link_is_followed(tmp_path: Path) -> None:
    file, link = tmp_path / "table.md", tmp_path / "link.md"
    write_text(str(file), "old")
    link.symlink_to(file)
    write_text(str(link), "new")
    assert link.is_symlink() and file.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.md", "table.md"]


def test_pipes_and_devices_are_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_text()))
    reader.start()
    write_text(str(fifo), "a table\n")
    reader.join()
    assert found == ["a table\n"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left"):
        write_text("/dev/full", "a table\n")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


class Terminal(io.BytesIO):
    """A standard output, or a terminal's."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.buffer, self._terminal = self, terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(("terminal", "shown"), [(True, "\\x1b[31mrot\\u202e\tü\n"), (False, "\x1b[31mrot\u202e\tü\n")])
def test_only_a_terminal_gets_control_characters_as_escapes(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str
) -> None:
    stdout = Terminal(terminal=terminal)
    monkeypatch.setattr(sys, "stdout", stdout)
    with line_writer(None) as write:
        write(["\x1b[31mrot\u202e\tü"])
    assert stdout.getvalue().decode() == shown


def test_an_output_is_one_line_for_every_program() -> None:
    text = "a\nb\r\nc\rd\x0be\x0cf\x1cg\x1dh\x1ei\x85j\u2028k\u2029l\tm  n"
    assert one_line(text) == "a b c d e f g h i j k l\tm  n"
    assert one_line(text).splitlines() == [one_line(text)]
