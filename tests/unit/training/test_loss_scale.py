"""fp16: the loss is scaled so that gradients neither vanish nor overflow, and no update is lost by it."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from contract.combinations import Triple, choices, legal, some_batch
from small_runs import same, settings, weights
from unit.training.broken_updates import Part, broken

from seq2seq.errors import CheckpointError, NonFiniteLossError
from seq2seq.training import loss_scale
from seq2seq.training.cuda_graphs import graph_problems
from seq2seq.training.loss_scale import LossScale
from seq2seq.training.replay import replay
from seq2seq.training.run import train
from seq2seq.training.update import Updater

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")

DROPOUT = ("encoder.dropout=0.3", "decoder.dropout=0.3")
SHORT = ("precision=fp16", "trainer.max_updates=4", "trainer.save_every=1", "trainer.keep_last=9", *DROPOUT)
TOO_LARGE = 2.0**40


@pytest.fixture
def passes() -> Iterator[list[int]]:
    """The updates whose gradients were computed, in order: one twice if it was computed twice."""
    found, compute = [], Updater._add_gradients

    def noted(self: Updater, number: int, *arguments: Any) -> Any:
        found.append(number)
        return compute(self, number, *arguments)

    with mock.patch.object(Updater, "_add_gradients", noted):
        yield found


def state(run: str, step: int) -> dict[str, Any]:
    return json.loads(Path(f"runs/{run}/checkpoints/step-{step}/state.json").read_text())


def first(value: float) -> Any:
    """Runs that begin with this scale."""
    return mock.patch.object(loss_scale, "FIRST", value)


def test_small_gradients_need_it() -> None:
    layer, inputs = torch.nn.Linear(4, 4), torch.full((2, 4), 1e-3)
    scale, found = LossScale(torch.float16), []
    for factor in (1.0, scale.value):
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = 1e-5 * layer(inputs).float().sum()
        (factor * loss).backward()
        found.append(layer.weight.grad)
    vanished, gradient = found
    assert not vanished.any()
    assert scale.unscale([gradient])
    assert torch.allclose(gradient, torch.full((4, 4), 2e-8), rtol=1e-2)


def test_an_update_that_overflows_is_computed_again(passes: list[int]) -> None:
    """With half the scale until it fits, with the same random numbers: as if that had been the scale at once."""
    with first(TOO_LARGE):
        train(settings("high", *SHORT))
    again, fitting = len(passes) - 4, state("high", 4)["loss_scale"]["value"]
    assert again == math.log2(TOO_LARGE / fitting) > 4
    assert state("high", 4)["skipped"] == 0
    with first(state("high", 1)["loss_scale"]["value"]):
        train(settings("fits", *SHORT))
    assert same(weights("high", 1), weights("fits", 1))
    assert same(weights("high", 4), weights("fits", 4))


@pytest.mark.parametrize(("scale", "patience"), [(TOO_LARGE, 2000), (2.0**10, 2)], ids=["falls", "grows"])
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(scale: float, patience: int) -> None:
    with first(scale), mock.patch.object(loss_scale, "PATIENCE", patience):
        train(settings("whole", *SHORT))
        for updates in (1, 3, 4):
            train(settings("parts", *SHORT, f"trainer.max_updates={updates}"))
    assert same(weights("whole", 4), weights("parts", 4))
    scales = [state("whole", step)["loss_scale"]["value"] for step in (1, 2, 3, 4)]
    assert scales == [2.0**10, 2.0**11, 2.0**11, 2.0**12] if patience == 2 else scales[-1] < scale
    assert [state("parts", step)["loss_scale"] for step in (1, 3, 4)] == [
        state("whole", step)["loss_scale"] for step in (1, 3, 4)
    ]


@pytest.mark.parametrize(("part", "computed"), [("loss", 1), ("gradient", 17)])
def test_an_update_that_no_scale_helps_is_skipped(part: Part, computed: int, passes: list[int]) -> None:
    """A loss that is not finite is not computed again."""
    with broken({2}, part=part):
        train(settings("bad", *SHORT))
    assert passes == [1, *[2] * computed, 3, 4]
    assert same(weights("bad", 1), weights("bad", 2))
    assert not same(weights("bad", 2), weights("bad", 3))
    assert [state("bad", step)["skipped"] for step in (1, 2, 3)] == [0, 1, 1]
    assert [state("bad", step)["loss_scale"]["value"] for step in (1, 2, 3)] == [2.0**16] * 3
    with broken({2}, part=part), pytest.raises(NonFiniteLossError, match=r"^update 2: "):
        train(settings("stops", *SHORT, "trainer.on_nonfinite=stop"))


def test_a_replay_has_the_scale_of_its_update() -> None:
    with first(TOO_LARGE):
        train(settings("again", *SHORT, "trainer.log_every=1"))
    lines = [json.loads(line) for line in Path("runs/again/metrics.jsonl").read_text().split("\n")[:-1]]
    recorded = {line["update"]: line for line in lines if "train/loss" in line}
    assert recorded[4]["train/loss_scale"] == state("again", 4)["loss_scale"]["value"]
    with first(1.0):  # what is stored counts
        found = replay(replace(settings("again", *SHORT), replay="4"))
    assert found is not None
    assert (found.norm, found.loss) == (recorded[4]["train/grad_norm"], recorded[4]["train/loss"])


@pytest.mark.parametrize("wrong", [{"value": 2.0}, {"value": 0.0, "fitted": 0}, {"value": -1.0, "fitted": 0}])
def test_a_state_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises((KeyError, ValueError)):
        LossScale(torch.float16).restore(wrong)


def test_a_checkpoint_with_a_broken_scale_is_refused() -> None:
    with mock.patch.object(LossScale, "state", lambda self: {"value": 2.0}):
        train(settings("broken", *SHORT, "trainer.max_updates=1"))
    with pytest.raises(CheckpointError, match=r"^step 1: its state.json has no loss scale: "):
        train(settings("broken", *SHORT, "trainer.max_updates=2"))


def test_other_precisions_have_no_scale() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        scale = LossScale(dtype)
        assert (scale.value, scale.adapts, scale.state()) == (1.0, False, {})
    with mock.patch.object(torch.cuda, "is_available", lambda: True):
        words = ("trainer.cuda_graphs=true", "optimizer=adamw", "optimizer.fused=true", "device=cuda")
        found = graph_problems(settings("graphs", *words, "precision=fp16"))
        assert found == [
            "trainer.cuda_graphs=true needs precision=bf16 or precision=fp32: in fp16 each update is examined for its "
            "loss scale"
        ]
        assert not graph_problems(settings("graphs", *words, "precision=bf16"))


EVERY_ATTENTION = [
    *(Triple("lstm", name, "lstm", (("attend", "before"), ("input_feeding", True))) for name in choices("attention")),
    *(Triple("transformer", name, "transformer") for name in choices("attention")),
]


@pytest.mark.parametrize("triple", legal(EVERY_ATTENTION), ids=str)
def test_gradients_are_those_of_fp32_but_for_rounding(triple: Triple) -> None:
    batch, model, found = some_batch([6, 1, 4], [3, 5, 0]), triple.model().float().train(), []
    for half in (False, True):
        scale = LossScale(torch.float16 if half else torch.float32)
        scale.value = 256.0 if half else 1.0  # this loss is a sum of large ones
        model.zero_grad()
        torch.manual_seed(1)  # some attentions draw
        with torch.autocast("cpu", dtype=torch.float16, enabled=half):
            loss = model.loss(batch, 0.1).loss
        (scale.value * loss).backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        assert scale.unscale(gradients)
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    assert torch.cosine_similarity(*found, dim=0) > 0.995
    assert float(found[1].norm()) == pytest.approx(float(found[0].norm()), rel=0.05)
