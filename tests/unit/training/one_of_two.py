"""What each of the two processes of test_several_processes.py runs: all cases, one after the other."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

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
from seq2seq.training.run import train
from seq2seq.training.trainer import Trainer

WITHOUT_DROPOUT = ("encoder.dropout=0", "decoder.dropout=0", "embedding.dropout=0", "optimizer.fused=false")
LOGGED = (*WITHOUT_DROPOUT, "trainer.log_every=1")
RARELY = ("trainer.validate_every=10", "trainer.save_every=20")
CURVE = (*LOGGED, *RARELY, "trainer.tokens_per_update=300", "trainer.tokens_per_batch=100")
FROZEN = ("freeze=[encoder]", "tie=all", "schedule=plateau", "schedule.patience=1")
BLOCKS = (*LOGGED, *FROZEN, "trainer.tokens_per_update=4096", "trainer.tokens_per_batch=1000")
COVERED = (*LOGGED, "attention=coverage", "decoder.attend=before", "objective.attention_penalty=0.5")
TINY = (*COVERED, "trainer.tokens_per_update=1")  # one pair per update
RUNS = {"double": CURVE, "single": CURVE, "skipping": CURVE, "tiny": TINY, "continued": BLOCKS}
SKIPPED = (2, 5)
UPDATES = {"double": 20, "single": 20, "skipping": 8, "tiny": 6, "continued": 12}


def train_run(run: str, updates: int | None = None) -> None:
    """All or the first updates of a run without dropout, in float64 unless it is called `single`. In two updates of
    `skipping` the loss is NaN, of two processes in the second one alone."""
    build = setup.build_model
    if run != "single":
        setup.build_model = lambda *a, **k: build(*a, **k).double()  # type: ignore[assignment,return-value]
    try:
        with broken(SKIPPED if run == "skipping" else (), rank=1 if "RANK" in os.environ else None):
            train(settings(run, *RUNS[run], f"trainer.max_updates={updates or UPDATES[run]}"))
    finally:
        setup.build_model = build


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
