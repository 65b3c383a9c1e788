"""Step hooks, and torch's step hooks, are called once per update, plain or replayed; runs resume bitwise."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_runs import same, settings, weights
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from unit.training.moving_average import MovingAverage, averages
from unit.training.test_cuda_graphs import COVERAGE, SHAPES, FakeRecorder, made, updates

from seq2seq.errors import CheckpointError
from seq2seq.optimizer.step_without_dynamo import step as plain_step
from seq2seq.training.cuda_graphs import graphed
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.training.run import train

LOOP = ("trainer.validate_every=9", "trainer.save_every=1", "trainer.keep_last=9")


@pytest.mark.usefixtures("in_its_own_folder")
def test_checkpoints_have_a_hooks_tensors_and_resume_bitwise() -> None:
    hooks: list[MovingAverage] = []

    def made_here(model: Any) -> MovingAverage:
        hooks.append(MovingAverage(model))
        return hooks[-1]

    train(settings("bare", *LOOP, "trainer.max_updates=4"))
    train(settings("whole", *LOOP, "trainer.max_updates=4"), step_hooks=[made_here])
    train(settings("parts", *LOOP, "trainer.max_updates=2"), step_hooks=[MovingAverage])
    with pytest.raises(CheckpointError, match=r"step 4 was saved without mean\.safetensors"):
        train(settings("bare", *LOOP, "trainer.max_updates=5"), step_hooks=[MovingAverage])
    train(settings("parts", *LOOP, "trainer.max_updates=4"), step_hooks=[MovingAverage])
    assert same(weights("bare", 4), weights("whole", 4))
    assert same(averages("whole", 4), averages("parts", 4))
    for step in (2, 3, 4):
        before, new, now = averages("whole", step - 1), weights("whole", step), averages("whole", step)
        assert now.pop("calls") == step
        assert all(torch.equal(now[name], before[name].lerp(new[name], 0.1)) for name in now)
    (hook,) = hooks
    assert hook.updates == [1, 2, 3, 4]
    assert len(hook.norms) == 4 and all(0 < norm <= 1.001 for norm in hook.norms)  # of gradients clipped to 1
    train(settings("whole", *LOOP, "trainer.max_updates=5"))  # without the hook


@pytest.mark.usefixtures("in_its_own_folder")
@pytest.mark.parametrize("names", [["model"], ["optimizer"], ["of steps"], ["mean", "mean"], ["ema"]])
def test_a_hook_name_that_is_invalid_or_taken_is_refused(names: list[str]) -> None:
    hooks = [type("Named", (MovingAverage,), {"name": name}) for name in names]
    with pytest.raises(ValueError, match=f"a step hook's name is '{names[-1]}'"):
        train(settings("refused", "trainer.max_updates=1"), step_hooks=hooks)


@pytest.fixture(params=["plain", "replayed"])
def step_with_hook(request: pytest.FixtureRequest) -> tuple[Any, OptimizerStep, MovingAverage]:
    passes, step = made(COVERAGE)
    hook = MovingAverage(step.strategy.model)
    step.hooks = [hook]
    if request.param == "replayed":
        passes, step = graphed(passes, step, SHAPES, FakeRecorder())
    return passes, step, hook


def test_an_update_calls_hooks_once_with_gradients(step_with_hook: Any) -> None:
    passes, step, hook = step_with_hook
    assert hook.calls == 0  # recording calls no hooks
    updates(passes, step, shaped=True)
    assert hook.calls == 3
    assert all(0 < norm <= 1.001 for norm in hook.norms)  # of gradients clipped to 1


@pytest.fixture
def noted() -> Iterator[list[str]]:
    """The calls of hooks, with global ones on every optimizer's steps."""
    calls: list[str] = []
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("pre of all")),
        register_optimizer_step_post_hook(lambda *_: calls.append("post of all")),
    ]
    yield calls
    for handle in handles:
        handle.remove()


def test_torchs_hooks_are_called_around_each_step(step_with_hook: Any, noted: list[str]) -> None:
    _, step, _ = step_with_hook
    weight = next(step.strategy.model.parameters())
    before = weight.detach().clone()

    def pre(optimizer: Any, *_: Any) -> None:
        assert optimizer is step.optimizer
        noted.append(f"pre, changed: {not torch.equal(weight, before)}")

    step.optimizer.register_step_pre_hook(pre)
    step.optimizer.register_step_post_hook(lambda *_: noted.append(f"post, changed: {not torch.equal(weight, before)}"))
    weight.grad = torch.ones_like(weight)
    step(1)
    assert noted == ["pre of all", "pre, changed: False", "post, changed: True", "post of all"]


@pytest.mark.parametrize("muon", [False, True])
def test_global_hooks_are_called_once_per_step(muon: bool, noted: list[str]) -> None:
    from seq2seq.optimizer.muon import Muon

    weight = torch.nn.Parameter(torch.ones(3, 2))
    rest = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0}
    groups = [{"params": [weight], "hidden": True, "rows": [[3]]}]
    optimizer: torch.optim.Optimizer = torch.optim.AdamW([weight])
    if muon:
        optimizer = Muon(params=groups, momentum=0.9, iterations=5, fused=False, **rest)
    weight.grad = torch.ones_like(weight)
    plain_step(optimizer)
    assert noted == ["pre of all", "post of all"]
