"""Signals outside the training loop: they interrupt even long operations at once."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq import interrupts
from seq2seq.interrupts import Interrupted, in_background, interruptible


@pytest.fixture(autouse=True)
def no_abandoned_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts._Work, "abandoned", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_ignored_signals_stay_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    with interruptible(), pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), number)
    assert caught.value.number == number


def test_background_work_returns_its_result_or_raises_its_error() -> None:
    assert in_background(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)


def test_tokenizer_training_is_interrupted_at_once(tmp_path: Path) -> None:
    """SentencePiece alone would raise another error, or delay the interrupt until training ends."""
    import sentencepiece

    def lines() -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGINT)
        seen.wait(60)
        yield "a and b"

    seen = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        in_background(
            lambda: sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines(), model_prefix=str(tmp_path / "never"), vocab_size=30, minloglevel=2
            )
        )
    assert interrupts._Work.abandoned
    seen.set()
    for thread in threading.enumerate():
        if thread.name == interrupts.IN_BACKGROUND:
            thread.join(60)
