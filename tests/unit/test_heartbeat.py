"""A progress line after some seconds without output, and only then."""

import logging
import time

import pytest

from seq2seq.heartbeat import heartbeat


def test_progress_is_logged_after_some_time_without_output(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    with heartbeat("encoding train", silence=0.1) as place:
        time.sleep(0.25)
        place("300 of 900 pairs")
        time.sleep(0.25)
    lines = caplog.messages
    assert lines[0] == "encoding train: 0 s"
    assert lines[-1] == "encoding train: 300 of 900 pairs"
    assert 2 <= len(lines) <= 5
    time.sleep(0.2)
    assert caplog.messages == lines  # it ends with the block


def test_other_log_lines_restart_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    with heartbeat("encoding train", silence=0.4):
        for _ in range(6):
            time.sleep(0.1)
            logging.getLogger("seq2seq.data").info("another line")
    assert set(caplog.messages) == {"another line"}


def test_a_program_without_handlers_still_gets_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python prints them if there is no handler; ours is not one for this."""
    printed: list[str] = []

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            printed.append(record.getMessage())

    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging, "lastResort", Printing(logging.WARNING))
    log = logging.getLogger("seq2seq.data")
    with heartbeat("encoding train"), heartbeat("training"):
        log.warning("a warning")
        log.info("a line")
    log.warning("another one")
    assert printed == ["a warning", "another one"]
