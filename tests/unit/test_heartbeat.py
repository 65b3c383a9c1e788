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
