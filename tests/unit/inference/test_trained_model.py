"""Loading a trained run."""

import logging
from pathlib import Path

import pytest
from small_runs import settings

from seq2seq.inference.trained_model import load_trained
from seq2seq.runtime import device
from seq2seq.training.run import train


def test_a_precision_other_than_in_training_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "cpu_multiplies_bf16", lambda: True)
    words = ["precision=auto", "trainer.max_updates=2"]
    train(settings("one", *words))
    with caplog.at_level(logging.INFO):
        load_trained("one", settings("one", *words), "last")
        assert "precision" not in caplog.text
        monkeypatch.setattr(device, "cpu_multiplies_bf16", lambda: False)
        load_trained("one", settings("one", *words), "last")
        assert "was trained in bf16 and runs in fp32 here (precision=auto); precision=bf16 is that" in caplog.text
        caplog.clear()
        load_trained("one", settings("one", *words, "precision=fp32"), "last")
        assert not caplog.text
