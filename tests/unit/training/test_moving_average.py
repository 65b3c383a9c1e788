"""The moving average of the weights: its equation, resume, validation, and checkpoints by name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import evaluate_settings, same, settings, weights
from torch import nn

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.errors import CheckpointError
from seq2seq.logger.jsonl import read_metrics
from seq2seq.training.moving_average import MovingAverage
from seq2seq.training.run import train

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")
EMA = ("trainer.ema=0.9", "trainer.validate_every=2", "trainer.save_every=1", "trainer.keep_last=12")


def averages(run: str, step: int) -> dict[str, torch.Tensor]:
    """The moving average in a checkpoint."""
    return load_file(Path("runs", run, "checkpoints", f"step-{step}", "ema.safetensors"))


def test_each_update_moves_the_average() -> None:
    model = nn.Linear(2, 1)
    average = MovingAverage(model, 0.9)
    expected = model.weight.detach().clone().double()
    for update in range(1, 200):
        nn.init.normal_(model.weight)
        with torch.no_grad():
            average(model, update)
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * model.weight.detach().double()
        assert torch.allclose(average.tensors()["weight"].double(), expected, atol=1e-5)


def test_validation_has_the_average_and_gives_the_weights_back() -> None:
    model = nn.Linear(2, 1)
    average, before = MovingAverage(model, 0.9), model.weight.detach().clone()
    nn.init.zeros_(model.weight)
    with pytest.raises(KeyboardInterrupt), average.in_validation(model):
        assert torch.equal(model.weight, before)
        raise KeyboardInterrupt
    assert torch.equal(model.weight, torch.zeros(1, 2))


def test_a_resumed_run_has_the_same_average_bitwise() -> None:
    train(settings("whole", *EMA, "trainer.max_updates=6"))
    train(settings("parts", *EMA, "trainer.max_updates=3"))
    train(settings("parts", *EMA, "trainer.max_updates=6"))
    assert same(averages("whole", 6), averages("parts", 6))
    assert same(weights("whole", 6), weights("parts", 6))
    assert not same(averages("whole", 6), load(RunFolder.of("whole"), "last", ["model"]).model)


def test_training_without_it_has_the_same_weights() -> None:
    train(settings("with", *EMA, "trainer.max_updates=4"))
    train(settings("without", *EMA, "trainer.ema=null", "trainer.max_updates=4"))
    assert same(weights("with", 4), weights("without", 4))


def test_best_is_the_average_that_was_validated() -> None:
    words = (*EMA, "trainer.best_metric=valid/chrf", "trainer.max_updates=6", "optimizer.lr=0.01")
    run = settings("whole", *words)
    train(run)
    folder = RunFolder.of("whole")
    best = load(folder, "best", ["model"])
    assert same(best.model, averages("whole", best.step))
    assert same(load(folder, "ema", ["model"]).model, averages("whole", 6))
    script = evaluate_settings("whole", split="valid")
    evaluate(script, run)
    scored = json.loads((folder.eval_folder / "valid.json").read_text())["chrf"]["score"]
    logged = read_metrics(folder.metrics_file)
    assert [line["valid/chrf"] for line in logged if line["update"] == best.step and "valid/chrf" in line] == [scored]
    assert scored > 0
    evaluate(evaluate_settings("whole", checkpoint="ema", changed={}), run)
    assert json.loads((folder.eval_folder / "test-ema.json").read_text())["checkpoint"] == "ema"


def test_a_run_without_an_average_names_the_checkpoints_it_has() -> None:
    train(settings("none", "trainer.max_updates=1"))
    with pytest.raises(
        CheckpointError, match=r"run none has no checkpoint=ema: there are: best, last, average, average-best, step-1"
    ):
        load(RunFolder.of("none"), "ema")
