"""What each of the two processes of test_several_processes.py runs: all cases, one after the other."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
import torch.distributed as dist
from forks import as_started
from small_runs import settings
from unit.training.broken_updates import broken
from unit.training.moving_average import MovingAverage

from seq2seq.errors import Seq2SeqError
from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.training import setup
from seq2seq.training.forward_backward import ForwardBackward
from seq2seq.training.run import train
from seq2seq.training.strategy import DataParallel
from seq2seq.training.trainer import Trainer
from seq2seq.types import Batch

WITHOUT_DROPOUT = ("encoder.dropout=0", "decoder.dropout=0", "embedding.dropout=0", "optimizer.fused=false")
LOGGED = (*WITHOUT_DROPOUT, "trainer.log_every=1")
RARELY = ("trainer.validate_every=10", "trainer.save_every=20")
CURVE = (*LOGGED, *RARELY, "trainer.tokens_per_update=300", "trainer.tokens_per_batch=100")
FROZEN = ("freeze=[encoder]", "tie=all", "schedule=plateau", "schedule.patience=1")
BLOCKS = (*LOGGED, *FROZEN, "trainer.tokens_per_update=4096", "trainer.tokens_per_batch=1000")
COVERED = (*LOGGED, "attention=coverage", "decoder.attend=before", "objective.attention_penalty=0.5")
TINY = (*COVERED, "trainer.tokens_per_update=1")  # one pair per update
RUNS = {"double": CURVE, "single": CURVE, "skipping": CURVE, "tiny": TINY, "continued": BLOCKS, "tight": CURVE}
SKIPPED = (2, 5)
FITTING = 2  # pairs that fit into memory
UPDATES = {"double": 20, "single": 20, "skipping": 8, "tiny": 6, "continued": 12, "tight": 6}


def train_run(run: str, updates: int | None = None) -> None:
    """All or the first updates of a run without dropout, in float64 unless it is called `single`. In two updates of
    `skipping` the loss is NaN, of two processes in the second one alone. In `tight` the second one has little memory.
    """
    build = setup.build_model
    if run != "single":
        setup.build_model = lambda *a, **k: build(*a, **k).double()  # type: ignore[assignment,return-value]
    try:
        bad = broken(SKIPPED if run == "skipping" else (), rank=1 if "RANK" in os.environ else None)
        with bad, out_of_memory("forward" if run == "tight" and os.environ.get("RANK") == "1" else None):
            train(settings(run, *RUNS[run], f"trainer.max_updates={updates or UPDATES[run]}"))
    finally:
        setup.build_model = build


@contextmanager
def out_of_memory(where: Literal["forward", "backward"] | None) -> Iterator[None]:
    """Memory runs out in the forward pass of each micro-batch of more than FITTING pairs, or in the backward pass."""
    module, backward = ForwardBackward.__call__, DataParallel.backward

    def forward(self: ForwardBackward, batch: Batch, *arguments: Any, **more: Any) -> Losses:
        if len(batch.source) > FITTING:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return module(self, batch, *arguments, **more)

    def failing(self: DataParallel, loss: torch.Tensor) -> None:
        backward(self, loss)
        self.reducing = self._last  # the failure is at the end of the pass
        raise torch.OutOfMemoryError("CUDA out of memory")

    with (
        mock.patch.object(ForwardBackward, "__call__", forward if where == "forward" else module),
        mock.patch.object(DataParallel, "backward", failing if where == "backward" else backward),
    ):
        yield


def train_without_memory() -> None:
    """In process 1 memory runs out while gradients are summed over both."""
    with out_of_memory("backward" if os.environ["RANK"] == "1" else None):
        train(settings("full", *CURVE))


def train_with_a_broken_loss() -> None:
    """Only in process 1 the loss is NaN."""
    compute = CrossEntropy.__call__

    def broken(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        losses = compute(self, model, batch)
        return replace(losses, total=losses.total * float("nan")) if os.environ["RANK"] == "1" else losses

    CrossEntropy.__call__ = broken  # type: ignore[method-assign]
    try:
        train(settings("broken", "trainer.on_nonfinite=stop"))
    finally:
        CrossEntropy.__call__ = compute  # type: ignore[method-assign]


def train_until_one_is_lost() -> None:
    """Process 1 exits before the fourth update."""
    step = Trainer._update

    def exit_at_three(self: Trainer, *arguments: Any) -> None:
        if self.state.update == 3 and self.world.rank == 1:
            os._exit(0)
        step(self, *arguments)

    Trainer._update = exit_at_three  # type: ignore[method-assign]
    train(settings("lost"))


def train_averaged(run: str, updates: int) -> None:
    """With a step hook."""
    train(settings(run, *LOGGED, f"trainer.max_updates={updates}"), step_hooks=[MovingAverage])


CASES: dict[str, Callable[[], None]] = {
    **{run: partial(train_run, run) for run in RUNS},
    "averaged": partial(train_averaged, "averaged", 4),
    "averaged, half": partial(train_averaged, "averaged-parts", 2),
    "averaged, whole": partial(train_averaged, "averaged-parts", 4),
    "broken": train_with_a_broken_loss,
    "full": train_without_memory,
    "lost": train_until_one_is_lost,
}


def run_cases(ports: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
    """Every case with its port; errors are written to ends-RANK.json."""
    as_started(cwd, environment)
    torch.set_num_threads(1)
    ends: dict[str, Any] = {}
    for port, (name, case) in zip(ports, CASES.items(), strict=True):
        os.environ["MASTER_PORT"] = port
        try:
            case()
        except Seq2SeqError as error:
            ends[name] = {"error": type(error).__name__, "reported": error.reported, "message": str(error)}
            dist.destroy_process_group()
        Path(f"ends-{os.environ['RANK']}.json").write_text(json.dumps(ends))
