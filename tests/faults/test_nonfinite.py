"""Random updates are made non-finite in random trainings: nothing of them reaches a weight, and nothing is lost."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.conftest import Campaign
from safetensors.torch import load_file
from small_runs import same, settings
from unit.training.broken_updates import broken

from seq2seq.training.run import train
from seq2seq.training.trainer import Trainer

UPDATES = 5
FAST, WHOLE = 1, 60  # trials
# What is varied, each independently.
CHOICES: list[list[tuple[str, ...]]] = [
    [("optimizer=adamw",), ("optimizer=muon",), ("optimizer=adamw", "optimizer.fused=false")],
    [("trainer.tokens_per_batch=2000",), ("trainer.tokens_per_batch=150",)],  # one micro-batch, or several
    [("trainer.ema=null",), ("trainer.ema=0.9",)],
    [("encoder.dropout=0",), ("encoder.dropout=0.3", "decoder.dropout=0.3")],
    [("schedule=constant",), ("schedule=inverse_sqrt", "schedule.warmup=3")],
]
USUAL = ("trainer.save_every=1", f"trainer.validate_every={UPDATES}", "trainer.log_every=1", "trainer.keep_last=9")


def tensors(run: str, step: int) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint, by file and name."""
    files = Path("runs", run, "checkpoints", f"step-{step}").glob("*.safetensors")
    return {f"{file.stem}/{name}": tensor for file in files for name, tensor in load_file(file).items()}


def lines(run: str) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock and the machine. A value that is no number stops the reading."""
    measured = {"train/tokens_per_second", "train/seconds_per_update", "train/peak_memory"}
    text = Path("runs", run, "metrics.jsonl").read_text()
    found = [json.loads(line, parse_constant=float) for line in text.split("\n")[:-1]]
    return [{key: value for key, value in line.items() if key not in measured} for line in found]


class Killed(Exception):
    """As if the process had been killed: nothing is saved."""


def train_and_be_killed(run: str, words: tuple[str, ...], after: int, patched: pytest.MonkeyPatch) -> None:
    """Train until the update `after`, die, and continue."""
    step = Trainer._update

    def die(self: Trainer, *arguments: Any) -> None:
        if self.state.update == after:
            raise Killed
        step(self, *arguments)

    with patched.context() as context, pytest.raises(Killed):
        context.setattr(Trainer, "_update", die)
        train(settings(run, *words))
    train(settings(run, *words))


def problems_of(run: str, bad: set[int]) -> int:
    """How much of the run is not as it must be: weights of skipped updates, numbers, records, counts."""
    wrong = 0
    for update in range(2, UPDATES + 1):
        unchanged = same(tensors(run, update - 1), tensors(run, update))
        wrong += unchanged != (update in bad)
    wrong += any(not tensor.isfinite().all() for tensor in tensors(run, UPDATES).values())
    logged = lines(run)
    wrong += any(not math.isfinite(value) for line in logged for value in line.values())
    wrong += {file.name for file in Path("runs", run, "nonfinite").glob("*")} != {f"step-{n}.json" for n in bad}
    state = json.loads(Path("runs", run, "checkpoints", f"step-{UPDATES}", "state.json").read_text())
    wrong += (state["update"], state["skipped"]) != (UPDATES, len(bad))
    return wrong


@pytest.mark.usefixtures("without_shape_checks")
def test_updates_that_are_not_finite(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(7)
    counts = {"runs": 0, "updates_made_non_finite": 0, "mismatches": 0, "mismatches_after_a_kill": 0}
    for trial in range(campaign.trials(WHOLE, fast=FAST)):
        words = (*USUAL, f"trainer.max_updates={UPDATES}", f"seed={trial + 1}", "search.max_length=3")
        words += tuple(word for choice in CHOICES for word in draw.choice(choice))
        bad = set(draw.sample(range(1, UPDATES + 1), draw.randint(1, 3)))
        part, value = draw.choice(["loss", "gradient"]), draw.choice([math.nan, math.inf, -math.inf])
        with broken(bad, part=part, value=value):
            train(settings(f"whole-{trial}", *words))
            train_and_be_killed(f"killed-{trial}", words, draw.randint(1, UPDATES - 1), monkeypatch)
        counts["runs"] += 2
        counts["updates_made_non_finite"] += 2 * len(bad)
        counts["mismatches"] += problems_of(f"whole-{trial}", bad)
        alike = same(tensors(f"whole-{trial}", UPDATES), tensors(f"killed-{trial}", UPDATES))
        counts["mismatches_after_a_kill"] += not alike or lines(f"whole-{trial}") != lines(f"killed-{trial}")
    campaign.report("updates that are not finite", **counts)
    assert counts["mismatches"] == counts["mismatches_after_a_kill"] == 0
    assert counts["updates_made_non_finite"] > 0
