"""CUDA graphs, with a fake recorder that replays by running the work again, with results in the same tensors."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from contract.combinations import Triple, composed, some_batch
from small_runs import same, settings, weights
from torch import Tensor
from unit.training.moving_average import MovingAverage, averages

from seq2seq.data.shapes import Shape, padded
from seq2seq.errors import ConfigError
from seq2seq.layers import unpad
from seq2seq.logger.jsonl import read_metrics
from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.optimizer import set_learning_rate
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.training import cuda_graphs as module
from seq2seq.training import preflight as checks
from seq2seq.training.cuda_graphs import blank_batch, graph_problems, graphed
from seq2seq.training.forward_backward import ForwardBackward, seed_of
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.training.run import train
from seq2seq.training.strategy import SingleProcess

CPU = Runtime(torch.device("cpu"), torch.float32)
SHAPES = [Shape(3, 8, 7), Shape(5, 9, 8)]
FEEDING = (("attend", "before"), ("input_feeding", True))
COVERAGE = Triple("lstm", "coverage", "lstm", FEEDING)


class FakeRecorder:
    """Records by running once for the result, replays by running again; counts both."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.recorded += 1
        result = work()

        def replay() -> None:
            self.replayed += 1
            overwrite(result, work())

        return replay, result


def overwrite(old: Any, new: Any) -> None:
    if isinstance(old, Tensor):
        old.copy_(new)
    elif isinstance(old, dict):
        for key in old:
            overwrite(old[key], new[key])
    elif is_dataclass(old):
        for field in fields(old):
            overwrite(getattr(old, field.name), getattr(new, field.name))


def made(triple: Triple, *, skips: bool = False) -> tuple[ForwardBackward, OptimizerStep]:
    model = triple.model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    objective = CrossEntropy(label_smoothing=0.1, attention_penalty=0.5)
    strategy = SingleProcess(model, World())
    return ForwardBackward(strategy, objective, CPU), OptimizerStep(strategy, optimizer, 1.0, defers=True, skips=skips)


def updates(
    passes: ForwardBackward, step: OptimizerStep, *, shaped: bool
) -> tuple[list[dict[str, float]], list[Tensor]]:
    """Three updates of two micro-batches: their losses and norms, and the weights."""
    results = []
    for update in range(3):
        torch.manual_seed(seed_of(1, update, 0))
        set_learning_rate(step.optimizer, 0.01 / (1 + update))
        figures: dict[str, float] = {"lr": float(step.optimizer.param_groups[-1]["lr"])}
        for number, lengths in enumerate(([6, 1, 4], [3, 2, 7])):
            batch = some_batch(lengths, [*lengths[1:], 0], seed=update)
            batch = padded(batch, Shape(5, 9, 8)) if shaped else batch
            losses = passes(batch, 1, 30, last=number == 1)
            figures |= {f"{number} total": losses.total.item(), f"{number} nll": losses.nll.item()}
            figures |= {f"{number} {name}": term.item() for name, term in losses.terms.items()}
        results.append(figures | {"norm": float(step(update + 1))})
    return results, [parameter.detach().clone() for parameter in step.strategy.model.parameters()]


@pytest.mark.parametrize(
    "triple", [COVERAGE, Triple("transformer", "multihead", "transformer", (("layer_drop", 0.3),))], ids=str
)
def test_replayed_updates_equal_plain_ones(triple: Triple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpad, "selects", lambda mask: False)  # as on a GPU
    recorder = FakeRecorder()
    expected, weights = updates(*made(triple), shaped=False)
    passes, step = graphed(*made(triple), SHAPES, recorder)
    found, others = updates(passes, step, shaped=True)
    # Recorded: two shapes, the step, the clearing of gradients. Replayed: six passes, three steps, three clearings.
    assert (recorder.recorded, recorder.replayed) == (4, 12)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-7)  # a learning rate on the device is in fp32
    assert all((one - other).abs().max() < 1e-7 for one, other in zip(others, weights, strict=True))
    assert not step.refuses


def test_a_batch_of_another_shape_is_not_replayed() -> None:
    recorder = FakeRecorder()
    expected, weights = updates(*made(COVERAGE), shaped=False)
    passes, step = graphed(*made(COVERAGE), SHAPES, recorder)
    found, others = updates(passes, step, shaped=False)
    assert recorder.replayed == 6
    assert found == [pytest.approx(figures, abs=1e-7) for figures in expected]
    assert all((one - other).abs().max() < 1e-7 for one, other in zip(others, weights, strict=True))


@pytest.mark.parametrize("skips", [False, True])
def test_recording_changes_nothing(skips: bool) -> None:
    passes, step = made(COVERAGE, skips=skips)
    before = [parameter.detach().clone() for parameter in step.strategy.model.parameters()]
    _, step = graphed(passes, step, SHAPES, FakeRecorder())
    assert all(torch.equal(one, other) for one, other in zip(step.strategy.model.parameters(), before, strict=True))
    state = [value for held in step.optimizer.state.values() for value in held.values()]
    assert state and not any(value.any() for value in (*state, *(p.grad for p in step.strategy.model.parameters())))
    assert not step.refuses


def test_a_replay_refuses_a_bad_gradient() -> None:
    passes, step = graphed(*made(COVERAGE), SHAPES, FakeRecorder())
    updates(passes, step, shaped=True)
    before = [parameter.detach().clone() for parameter in step.strategy.model.parameters()]
    next(iter(step.strategy.model.parameters())).grad.fill_(float("nan"))
    step(1)
    updates(passes, step, shaped=True)
    assert all(torch.equal(one, other) for one, other in zip(step.strategy.model.parameters(), before, strict=True))
    assert step.refuses


def test_a_replay_skips_a_bad_gradient_and_goes_on() -> None:
    found = []
    for bad in (False, True):
        passes, step = graphed(*made(COVERAGE, skips=True), SHAPES, FakeRecorder())
        updates(passes, step, shaped=True)
        if bad:
            next(iter(step.strategy.model.parameters())).grad.fill_(float("nan"))
            assert not step(1).isfinite() and step.refuses
        found.append(updates(passes, step, shaped=True))
        assert not step.refuses
    assert found[0][0] == found[1][0]
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))


def test_a_replay_refuses_a_loss_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    penalty = torch.tensor(0.0)
    compute = CrossEntropy.__call__

    def with_penalty(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        losses = compute(self, model, batch)
        return replace(losses, total=losses.total + penalty)

    monkeypatch.setattr(CrossEntropy, "__call__", with_penalty)
    passes, step = graphed(*made(COVERAGE), SHAPES, FakeRecorder())
    updates(passes, step, shaped=True)
    before = [parameter.detach().clone() for parameter in step.strategy.model.parameters()]
    penalty.fill_(float("inf"))
    updates(passes, step, shaped=True)
    assert all(torch.equal(one, other) for one, other in zip(step.strategy.model.parameters(), before, strict=True))
    assert step.refuses


def test_the_error_says_why_capture_failed() -> None:
    def refuse(work: Callable[[], Any]) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    line = r"trainer.cuda_graphs=true: this training cannot be captured \(operation not permitted .* capturing\); use f"
    with pytest.raises(ConfigError, match=line):
        graphed(*made(COVERAGE), SHAPES, refuse)


def test_a_blank_batch_has_a_loss_of_zero() -> None:
    batch = blank_batch(Shape(2, 4, 3))
    losses = CrossEntropy(label_smoothing=0.1, attention_penalty=0.5)(COVERAGE.model(), batch)
    assert batch.source_mask.sum(1).tolist() == [1, 1]
    assert (losses.total.item(), losses.nll.item()) == (0.0, 0.0)


def test_requirements_of_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = composed("trainer.cuda_graphs=true", "device=cpu", "optimizer=muon")
    assert graph_problems(composed()) == []
    assert graph_problems(requested) == [
        "trainer.cuda_graphs=true needs a GPU",
        "trainer.cuda_graphs=true needs optimizer=adam or optimizer=adamw, with optimizer.fused=true",
    ]
    monkeypatch.setattr(module.torch.cuda, "is_available", lambda: True)
    assert graph_problems(composed("trainer.cuda_graphs=true")) == []


@pytest.mark.usefixtures("without_shape_checks")
def test_a_run_with_graphs_equals_one_without_and_resumes_bitwise(
    in_its_own_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its first epoch; without dropout, whose draws depend on a micro-batch's shape."""
    monkeypatch.setattr(checks, "graph_problems", lambda settings: [])
    monkeypatch.setattr(module, "GraphRecorder", FakeRecorder)
    monkeypatch.setattr(unpad, "selects", lambda mask: False)
    no_dropout = ("encoder.dropout=0", "decoder.dropout=0", "embedding.dropout=0", "decoder.attend=after")
    loop = [f"trainer.{key}" for key in ("tokens_per_update=2500", "tokens_per_batch=1500", "probes=0", "save_every=3")]
    words = (*no_dropout, "decoder.input_feeding=false", *loop, "trainer.validate_every=6")
    graphs = (*words, "trainer.cuda_graphs=true")
    train(settings("plain", *words, "trainer.max_updates=6"))
    for run, updates in (("whole", 6), ("parts", 3), ("parts", 6)):
        train(settings(run, *graphs, f"trainer.max_updates={updates}"), step_hooks=[MovingAverage])
    assert same(weights("whole", 6), weights("parts", 6))
    assert averages("whole", 6)["calls"] == 6
    assert same(averages("whole", 6), averages("parts", 6))
    plain, whole = (
        [line for line in read_metrics(Path("runs", run, "metrics.jsonl")) if "train/loss" in line]
        for run in ("plain", "whole")
    )
    assert whole[-1]["train/epoch"] > 1
    for tag in ("train/loss", "train/nll", "train/grad_norm", "train/lr"):
        assert [line[tag] for line in whole] == pytest.approx([line[tag] for line in plain], rel=1e-4)
    assert whole[-1]["train/padding"] > plain[-1]["train/padding"]
