"""A signal ends what is done outside of the training loop, however long its operations are."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq import interrupts
from seq2seq.interrupts import Interrupted, in_background, interruptible


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts._Work, "abandoned", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_ignored_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), number)
    signal.signal(number, before)
    with interruptible(), pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), number)
    assert caught.value.number == number


def test_work_in_the_background_gives_its_result_or_its_error() -> None:
    assert in_background(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)


def test_an_interrupt_while_a_tokenizer_trains_is_one_at_once(tmp_path: Path) -> None:
    """SentencePiece would make an error of its own of it, or let it wait until it is done."""
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
