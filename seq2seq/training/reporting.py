"""What training says of itself: sums over a window of updates, to the progress bar and the logbook."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.training.logbook import Logbook
from seq2seq.training.progress import Progress


@dataclass(frozen=True)
class UpdateFigures:
    """One update: sums of objective and NLL over its target tokens, its token counts, and how it went."""

    total: Tensor
    nll: Tensor
    tokens: int  # real target tokens
    real: int  # real tokens of both sides
    cells: int  # positions of both sides, padding counted
    norm: float
    lr: float
    seconds: float


class Reporter:
    """Collects updates and reports their means every `log_every`; nothing is read from the device in between."""

    def __init__(self, *, progress: Progress, logbook: Logbook, log_every: int) -> None:
        self.progress = progress
        self.logbook = logbook
        self.log_every = log_every
        self._window: list[UpdateFigures] = []
        self._train_nll: float | None = None

    def updated(self, update: int, epochs: float, figures: UpdateFigures) -> None:
        """Hear of an update."""
        self._window.append(figures)
        if update % self.log_every:
            self.progress.update(update, {})
            return
        values = _means(self._window)
        self._window = []
        self._train_nll = values["train/nll"]
        self.logbook.scalars(update, values | {"train/epoch": epochs})
        self.progress.update(update, values | {"train/epoch": epochs})

    def validated(self, update: int, values: Mapping[str, float], best: bool) -> None:
        """Hear of a validation's scores."""
        self.logbook.scalars(update, values)
        known = {} if self._train_nll is None else {"train/nll": self._train_nll}
        self.progress.validated(update, known | dict(values), best)


def _means(window: list[UpdateFigures]) -> dict[str, float]:
    """The window's figures a token and a second, by their tags."""
    tokens = sum(figures.tokens for figures in window)
    return {
        "train/loss": float(torch.stack([figures.total for figures in window]).sum()) / tokens,
        "train/nll": float(torch.stack([figures.nll for figures in window]).sum()) / tokens,
        "train/lr": window[-1].lr,
        "train/grad_norm": sum(figures.norm for figures in window) / len(window),
        "train/tokens_per_second": tokens / sum(figures.seconds for figures in window),
        "train/padding": 1 - sum(figures.real for figures in window) / sum(figures.cells for figures in window),
    }
