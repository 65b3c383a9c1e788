"""Settings that metrics=summarization also sets, and when it does not."""

import logging
from pathlib import Path

import pytest

from seq2seq.config import CONFIGS, Script, compose, load_train
from seq2seq.config.command_line.check import check
from seq2seq.config.companions import companions
from seq2seq.config.schema import TrainSettings

SUMMARIES = "metrics=summarization"


@pytest.mark.parametrize(
    ("typed", "added"),
    [
        ([], []),
        (["metrics=translation"], []),
        ([SUMMARIES], ["generator=pointer", "length.overlong=truncate"]),
        ([SUMMARIES, "attention=bahdanau", "encoder=gru"], ["generator=pointer", "length.overlong=truncate"]),
        ([SUMMARIES, "generator=softmax"], ["length.overlong=truncate"]),
        ([SUMMARIES, "length.overlong=drop"], ["generator=pointer"]),
        ([SUMMARIES, "attention=none"], ["length.overlong=truncate"]),
        ([SUMMARIES, "tokenizer.joint=false"], ["length.overlong=truncate"]),
        ([SUMMARIES, "pooling=strided"], ["length.overlong=truncate"]),
        ([SUMMARIES, "experiment=dialogsum/lstm_pointer"], []),
        ([SUMMARIES, "init_from=first"], []),
        (["data=files"], ["preset=auto"]),
        (["data=table", SUMMARIES], ["generator=pointer", "length.overlong=truncate", "preset=auto"]),
        (["data=hub", "preset=none"], []),
        (["data=files", "preset=large"], []),
        (["data=files", "experiment=multi30k/attention"], []),
        (["data=files", "init_from=first"], ["preset=auto"]),
        (["data=table", "init_from=first", SUMMARIES], ["preset=auto"]),
        (["data=cldr"], []),
    ],
)
def test_companions(typed: list[str], added: list[str]) -> None:
    assert companions(typed) == added


def test_companions_of_summarization_are_set_and_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    words = check(Script("train", TrainSettings, run=print), [SUMMARIES])[0]
    assert caplog.messages == [
        "metrics=summarization also sets generator=pointer length.overlong=truncate (type other values to change them)"
    ]
    settings = load_train(compose(CONFIGS, "train", words))
    assert (settings.choices["generator"], settings.length.overlong) == ("pointer", "truncate")
    assert settings.trainer.best_metric == "valid/rougeL"
