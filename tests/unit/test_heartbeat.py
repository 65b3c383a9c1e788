"""A line after some seconds of silence, and none where there is no silence."""

import logging
import time

import pytest

from seq2seq.heartbeat import heartbeat


def test_silence_is_broken_by_what_goes_on_and_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
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


def test_any_other_line_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    with heartbeat("encoding train", silence=0.4):
        for _ in range(6):
            time.sleep(0.1)
            logging.getLogger("seq2seq.data").info("another line")
    assert set(caplog.messages) == {"another line"}
