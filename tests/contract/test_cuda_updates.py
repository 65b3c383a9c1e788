"""On a GPU an update does not synchronize, and an update replayed from CUDA graphs equals the eager one."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contract.combinations import Triple, further_choices, some_batch
from torch import Tensor

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.data.batches import collate
from seq2seq.data.resident import ResidentIds
from seq2seq.data.shapes import SHAPES as MOST_SHAPES
from seq2seq.data.shapes import Shape, padded
from seq2seq.errors import NonFiniteLossError
from seq2seq.layers.dropout import Dropout
from seq2seq.logger.jsonl import read_metrics
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.optimizer import set_learning_rate
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.training.cuda_graphs import GraphRecorder, graphed
from seq2seq.training.forward_backward import ForwardBackward, seed_of
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.training.run import train
from seq2seq.training.strategy import SingleProcess
from seq2seq.training.trainer import Trainer

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")
SHAPES = [Shape(3, 8, 7), Shape(5, 9, 8)]
FEEDING = (("attend", "before"), ("input_feeding", True))
TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("transformer", "multihead", "transformer", (("layer_drop", 0.3),), (("position", "sinusoidal_2d"),)),
    Triple("lstm", "bahdanau", "lstm", FEEDING),
    Triple("gru", "luong_general", "gru", (("attend", "after"), ("input_feeding", False))),
    Triple("lstm", "coverage", "lstm", FEEDING, (("generator", "pointer"),)),
]
SIZES = ["data.train=2000", "data.valid=50", "data.test=50", "tokenizer.vocab_size=800", "schedule=constant"]
LOOP = ["device=cuda", "trainer.validate_every=20", "trainer.log_every=10", "trainer.tokens_per_update=2000"]
GRAPHS = "trainer.cuda_graphs=true"


@contextmanager
def no_synchronization() -> Iterator[None]:
    """Raise if anything waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def made(triple: Triple, dtype: torch.dtype) -> tuple[ForwardBackward, OptimizerStep]:
    """A model with dropout. The large eps keeps Adam from amplifying rounding errors."""
    model = triple.model().float().train().to(CUDA)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.2
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1, eps=1e-3, fused=True)
    objective = CrossEntropy(label_smoothing=0.1, attention_penalty=0.5)
    strategy = SingleProcess(model, World())
    step = OptimizerStep(strategy, optimizer, 1.0, defers=True)
    return ForwardBackward(strategy, objective, Runtime(CUDA, dtype)), step


def updates(passes: ForwardBackward, step: OptimizerStep) -> tuple[list[Tensor], list[Tensor]]:
    """The losses, norms and weights of six updates of two micro-batches, one of each shape. None synchronizes."""
    figures = []
    for update in range(6):
        batch = some_batch([6, 1, 4], [3, 2, 6], seed=update)
        batches = [padded(batch, shape).to(CUDA) for shape in SHAPES]
        torch.manual_seed(seed_of(1, update, 0))
        with no_synchronization():
            set_learning_rate(step.optimizer, 0.01 / (1 + update))
            for number, each in enumerate(batches):
                losses = passes(each, 1, 30, last=number == 1)
                figures += [losses.total.detach().clone(), losses.nll.clone()]
            norm = step(update + 1)
        assert isinstance(norm, Tensor)
        figures.append(norm)
    return figures, [parameter.detach().clone() for parameter in step.strategy.model.parameters()]


@pytest.mark.parametrize(
    ("triple", "dtype"),
    [(triple, torch.float32) for triple in [*TRIPLES, *further_choices()]] + [(t, torch.bfloat16) for t in TRIPLES],
    ids=str,
)
def test_replayed_update_equals_the_eager_one(triple: Triple, dtype: torch.dtype) -> None:
    """Dropout included: the same seed draws the same numbers."""
    expected, weights = updates(*made(triple, dtype))
    found, others = updates(*graphed(*made(triple, dtype), SHAPES))
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    torch.testing.assert_close(found, expected, **close, check_dtype=False)
    torch.testing.assert_close(others, weights, **close)


class Ids:
    """Random pairs; the ids need all of 16 bits."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        for side in ("source", "target"):
            lengths = random.integers(0, 9, 50).astype(np.int32)
            setattr(self, f"{side}_lengths", lengths)
            setattr(self, f"{side}_offsets", np.append(0, np.cumsum(lengths)).astype(np.int64))
            setattr(self, f"{side}_ids", random.integers(4, 2**16, int(lengths.sum()), np.uint16))


def test_batch_on_the_gpu_equals_the_one_on_the_cpu() -> None:
    ids, rows, shape = Ids(), np.array([3, 1, 41, 7]), Shape(6, 12, 11)
    resident, here = ResidentIds(ids, CUDA), collate(ids, rows)
    with no_synchronization():
        batches = resident.collate(rows), resident.collate(rows, shape)
    for batch, expected in zip(batches, (here, padded(here, shape)), strict=True):
        for name in expected.__dataclass_fields__:
            assert torch.equal(getattr(batch, name).cpu(), getattr(expected, name))


@pytest.fixture
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    torch.use_deterministic_algorithms(False)


def run(name: str, *words: str) -> list[dict[str, float]]:
    """A run over the embedded data, and its lines of metrics."""
    train(load_train(compose(CONFIGS, "train", [*SIZES, *LOOP, f"run={name}", *words])))
    return read_metrics(Path("runs", name, "metrics.jsonl"))


@pytest.mark.parametrize("graphs", ["trainer.cuda_graphs=false", GRAPHS])
def test_updates_of_a_run_do_not_synchronize(
    graphs: str, in_its_own_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except the first, in which libraries are initialized, and those that log, which read the losses."""
    update = Trainer._update

    def watched(self: Trainer, *arguments: Any) -> None:
        if self.state.update == 0 or (self.state.update + 1) % self.settings.log_every == 0:
            return update(self, *arguments)
        with no_synchronization():
            return update(self, *arguments)

    monkeypatch.setattr(Trainer, "_update", watched)
    lines = run("watched", "trainer.max_updates=30", graphs, "encoder=transformer")
    assert [line["update"] for line in lines if "train/loss" in line] == [10, 20, 30]


def test_later_epochs_record_no_new_graphs_and_learn(in_its_own_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[int] = []
    plain_passes: list[Any] = []
    record, plain, update = GraphRecorder.__call__, ForwardBackward.__call__, Trainer._update
    updates_done = {"all": 0}

    def noted(self: GraphRecorder, work: Callable) -> Any:
        recorded.append(updates_done["all"])
        return record(self, work)

    def plain_call(self: ForwardBackward, *arguments: Any, **more: Any) -> Any:
        plain_passes.append(arguments)
        return plain(self, *arguments, **more)

    def counted(self: Trainer, *arguments: Any) -> None:
        update(self, *arguments)
        updates_done["all"] += 1

    monkeypatch.setattr(GraphRecorder, "__call__", noted)
    monkeypatch.setattr(ForwardBackward, "__call__", plain_call)
    monkeypatch.setattr(Trainer, "_update", counted)
    lines = run("graphs", "trainer.max_epochs=6", GRAPHS, "optimizer.lr=0.003")
    assert 3 <= len(recorded) <= 2 + MOST_SHAPES and not any(recorded)  # shapes and the step, before the first update
    assert len(plain_passes) <= 0.05 * updates_done["all"]  # pairs longer than all of the first epoch's batches
    nll = [line["valid/nll"] for line in lines if "valid/nll" in line]
    assert nll[-1] < nll[0]


def test_resuming_with_graphs_is_bitwise_equal(in_its_own_folder: None) -> None:
    parts = ["encoder=transformer", "decoder=transformer", "attention=multihead", "encoder.dropout=0.2"]
    words = [GRAPHS, "trainer.deterministic=true", *parts]
    whole = run("whole", *words, "trainer.max_updates=40")
    run("parts", *words, "trainer.max_updates=20")
    continued = run("parts", *words, "trainer.max_updates=40")
    assert [line.get("train/loss") for line in whole] == [line.get("train/loss") for line in continued]


def test_bad_gradient_is_reported_with_the_next_metrics(
    in_its_own_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, call = {"updates": 0}, OptimizerStep.__call__

    def nan_in_third_update(self: OptimizerStep, update: int) -> Any:
        taken["updates"] += 1
        if taken["updates"] == 3:
            next(p.grad for p in self.strategy.model.parameters() if p.grad is not None).fill_(float("nan"))
        return call(self, update)

    monkeypatch.setattr(OptimizerStep, "__call__", nan_in_third_update)
    with pytest.raises(NonFiniteLossError, match=r"update 3: the loss is .* norm nan"):
        run("bad", "trainer.max_updates=30", "trainer.on_nonfinite=stop")
    assert taken["updates"] == 10
    taken["updates"] = 0
    lines = run("skips", "trainer.max_updates=30", "trainer.ema=0.9")
    assert {line["train/skipped"] for line in lines if "train/loss" in line} == {1}
    assert all(math.isfinite(value) for line in lines for value in line.values())
