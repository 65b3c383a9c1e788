"""The end of an update: a non-finite gradient changes nothing, whether it is noticed at once or later."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import settings
from torch import nn

from seq2seq.errors import NonFiniteLossError
from seq2seq.model.model import Model
from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.runtime.distributed import World
from seq2seq.training import update as module
from seq2seq.training.optimizer_step import OptimizerStep, reads_found_inf
from seq2seq.training.run import train
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import SingleProcess

NAN = float("nan")


class Linear(Model):
    """A model of which only the parameters matter."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs)


def made(
    *, defers: bool, fused: bool = True, clip_norm: float | None = 1.0, skips: bool = False
) -> tuple[Model, OptimizerStep]:
    torch.manual_seed(0)
    model = Linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1, fused=fused)
    return model, OptimizerStep(SingleProcess(model, World()), optimizer, clip_norm, defers=defers, skips=skips)


def take(model: nn.Module, step: OptimizerStep, scales: list[float]) -> list[float]:
    norms = []
    for number, scale in enumerate(scales):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(number))
        (scale * model(inputs).square().sum()).backward()
        norms.append(float(step(number)))
        assert all(parameter.grad is None for parameter in model.parameters())
    return norms


def tensors_of(model: nn.Module, step: OptimizerStep) -> list[torch.Tensor]:
    state = [value for p in model.parameters() for value in step.optimizer.state[p].values()]
    return [value.detach().clone() for value in (*model.parameters(), *state)]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_deferring_is_bitwise_the_same(clip_norm: float | None) -> None:
    (at_once, first), (later, second) = (made(defers=defers, clip_norm=clip_norm) for defers in (False, True))
    assert take(at_once, first, [1.0, 9.0, 1.0]) == take(later, second, [1.0, 9.0, 1.0])
    assert equal(tensors_of(at_once, first), tensors_of(later, second))
    assert not first.refuses and not second.refuses


@pytest.mark.parametrize("broken", [NAN, float("inf")])
@pytest.mark.parametrize("defers", [False, True])
def test_no_step_is_taken_from_the_first_bad_gradient_on(defers: bool, broken: float) -> None:
    model, step = made(defers=defers)
    take(model, step, [1.0, 1.0, 1.0])
    assert not step.refuses
    before = tensors_of(model, step)
    norms = take(model, step, [broken, 1.0, 1.0])  # momentum and decay alone would move the weights
    assert equal(tensors_of(model, step), before)
    assert step.refuses
    assert [math.isfinite(norm) for norm in norms] == [False, True, True]


@pytest.mark.parametrize("broken", [NAN, float("inf")])
@pytest.mark.parametrize("defers", [False, True])
def test_a_skipped_step_changes_nothing_and_later_ones_are_taken(defers: bool, broken: float) -> None:
    """The next step is the one that would have been taken without it."""
    (model, step), (other, untouched) = (made(defers=defers, skips=True) for _ in range(2))
    take(model, step, [1.0, 1.0])
    take(other, untouched, [1.0, 1.0])
    norms = take(model, step, [broken])
    assert not math.isfinite(norms[0]) and step.refuses
    assert equal(tensors_of(model, step), tensors_of(other, untouched))
    assert take(model, step, [2.0, 1.0]) == take(other, untouched, [2.0, 1.0])
    assert not step.refuses
    assert equal(tensors_of(model, step), tensors_of(other, untouched))


@pytest.mark.parametrize("refused", [0.0, 1.0])
def test_a_hook_without_a_way_of_its_own_waits_for_the_device(refused: float) -> None:
    calls = []

    class Noted(StepHook):
        name = "noted"

        def __call__(self, model: nn.Module, update: int) -> None:
            calls.append(update)

    Noted().unless(torch.tensor(refused), Linear(), 7)
    assert calls == ([] if refused else [7])


def test_a_refused_first_step_leaves_a_fresh_state() -> None:
    """As CUDA graphs need it: the state exists and is that before any step."""
    model, step = made(defers=True)
    other = copy.deepcopy(model)
    take(model, step, [NAN])
    assert all(not value.any() for p in model.parameters() for value in step.optimizer.state[p].values())
    step.refuses.zero_()
    take(model, step, [1.0])
    optimizer = torch.optim.AdamW(other.parameters(), lr=0.1, weight_decay=0.1, fused=True)
    untouched = OptimizerStep(SingleProcess(other, World()), optimizer, 1.0, defers=True)
    take(other, untouched, [1.0])
    assert equal(tensors_of(model, step), tensors_of(other, untouched))


def test_which_optimizers_can_refuse_a_step() -> None:
    parameters = [nn.Parameter(torch.zeros(2))]
    assert reads_found_inf(torch.optim.AdamW(parameters, fused=True))
    assert reads_found_inf(torch.optim.Adam(parameters, fused=True))
    assert not reads_found_inf(torch.optim.AdamW(parameters))
    assert not reads_found_inf(torch.optim.SGD(parameters, fused=True))


def test_a_run_notices_later_and_the_error_names_the_update(
    in_its_own_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: values are read every 4 updates; the third gradient is NaN."""
    compute = CrossEntropy.__call__

    def break_at_three(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        losses = compute(self, model, batch)
        bad = taken["updates"] == 2
        return replace(losses, total=losses.total * NAN) if bad else losses

    def counted(self: OptimizerStep, update: int) -> Any:
        taken["updates"] += 1
        return call(self, update)

    taken, call = {"updates": 0}, OptimizerStep.__call__
    monkeypatch.setattr(CrossEntropy, "__call__", break_at_three)
    monkeypatch.setattr(OptimizerStep, "__call__", counted)
    monkeypatch.setattr(
        module, "OptimizerStep", lambda *arguments, **more: OptimizerStep(*arguments, **more | {"defers": True})
    )
    with pytest.raises(NonFiniteLossError, match=r"update 3: the loss is nan and the gradient norm nan, at .* no ch"):
        train(
            settings(
                "late",
                "trainer.on_nonfinite=stop",
                "trainer.log_every=4",
                "trainer.validate_every=8",
                "trainer.save_every=8",
            )
        )
    assert taken["updates"] == 4
    assert not list(Path("runs/late/checkpoints").glob("step-*"))
