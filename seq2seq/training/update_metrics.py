"""Training metrics: sums over a window of updates, for the progress bar and the recorder."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import SupportsFloat

import torch
from torch import Tensor

from seq2seq.logger.base import Recorder
from seq2seq.objective.base import Losses
from seq2seq.reporting.progress import Progress
from seq2seq.runtime.distributed import World
from seq2seq.runtime.memory import peak_memory


class Sums:
    """One process's sums over its micro-batches of an update: losses, on their device, and numbers of tokens."""

    def __init__(self, device: torch.device) -> None:
        self.total, self.nll = torch.zeros(2, dtype=torch.float64, device=device)
        self.terms: dict[str, Tensor] = defaultdict(lambda: torch.zeros_like(self.total))
        self.real = 0  # real tokens of both sides
        self.cells = 0  # positions of both sides, padding counted

    def add(self, losses: Losses, weight: int, *, real: int, cells: int) -> None:
        """Add a micro-batch of so many real tokens and positions `weight` times."""
        self.total += weight * losses.total.detach()
        self.nll += weight * losses.nll
        for name, term in losses.terms.items():
            self.terms[name] += weight * term.detach()
        self.real += weight * real
        self.cells += weight * cells


@dataclass(frozen=True)
class UpdateFigures:
    """The figures of one update: this process's sums, and the target tokens of all processes. `norm` and `seconds` may
    still be computed on a GPU: `float` waits for them."""

    update: int
    sums: Sums
    tokens: int  # real target tokens of the whole update
    norm: SupportsFloat
    lr: float
    seconds: SupportsFloat
    splits: int = 0  # of micro-batches that did not fit into memory


class Reporter:
    """Collects the figures of updates, and reports them from time to time.

    Between reports it neither reads from `device` nor communicates with other processes. `window` holds the updates
    since the last report.
    """

    def __init__(self, *, progress: Progress, recorder: Recorder, device: torch.device, world: World) -> None:
        self.progress = progress
        self.recorder = recorder
        self.device = device
        self.world = world
        self.window: list[UpdateFigures] = []

    def updated(
        self, epochs: float, figures: UpdateFigures, *, report: bool, counts: Mapping[str, float] | None = None
    ) -> None:
        """Called after each update, with the epochs done; with `report`, report all updates since the last report, and
        the `counts` of the run by tag."""
        self.window.append(figures)
        update = figures.update
        if not report:
            self.progress.update(update, {})
            return
        peak = self.world.all_reduce_max(peak_memory(self.device))
        values = _summary(self.window, self.world) | {"train/peak_memory": peak, "train/epoch": epochs}
        values |= counts or {}
        self.window = []
        self.recorder.scalars(update, values)
        self.progress.update(update, values)

    def validated(self, update: int, values: Mapping[str, float], best: bool) -> None:
        """Called with a validation's scores."""
        self.recorder.scalars(update, values)
        self.progress.validated(update, values, best)


def _summary(window: list[UpdateFigures], world: World) -> dict[str, float]:
    """The window's metrics by tag, over all processes. Updates that were skipped because they are not finite took their
    time, and are in no mean."""
    finite = [figures for figures in window if math.isfinite(float(figures.norm))]
    norms = {"train/grad_norm": sum(float(figures.norm) for figures in finite) / len(finite)} if finite else {}
    positions = torch.tensor([[each.sums.real, each.sums.cells] for each in window], dtype=torch.float64)
    real, cells = world.all_reduce_sum(positions.sum(0)).tolist()
    seconds = [float(figures.seconds) for figures in window]
    return {
        **(_losses(finite, world) if finite else {}),
        "train/lr": window[-1].lr,
        **norms,
        "train/tokens_per_second": sum(figures.tokens for figures in window) / sum(seconds),
        "train/seconds_per_update": median(seconds),
        "train/padding": 1 - real / cells,
    }


def _losses(updates: list[UpdateFigures], world: World) -> dict[str, float]:
    """The losses of these updates per token, by tag."""
    tokens = sum(figures.tokens for figures in updates)
    sums = [figures.sums for figures in updates]
    by_name = {"loss": [each.total for each in sums], "nll": [each.nll for each in sums]}
    by_name |= {name: [each.terms[name] for each in sums] for name in sums[-1].terms}
    losses = world.all_reduce_sum(torch.stack([torch.stack(tensors).sum() for tensors in by_name.values()])).tolist()
    return {f"train/{name}": loss / tokens for name, loss in zip(by_name, losses, strict=True)}
