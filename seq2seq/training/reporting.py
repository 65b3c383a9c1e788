"""What training says of itself: sums over a window of updates, to the progress bar and the logbook."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from seq2seq.training.logbook import Logbook
from seq2seq.training.memory import peak_memory
from seq2seq.training.progress import Progress


@dataclass(frozen=True)
class UpdateFigures:
    """One update: sums of objective, NLL and the objective's terms over its target tokens, its token counts, and how
    it went."""

    total: Tensor
    nll: Tensor
    terms: Mapping[str, Tensor]
    tokens: int  # real target tokens
    real: int  # real tokens of both sides
    cells: int  # positions of both sides, padding counted
    norm: float
    lr: float
    seconds: float


class Reporter:
    """Collects updates and reports on them every `log_every`; nothing is read from `device` in between."""

    def __init__(self, *, progress: Progress, logbook: Logbook, log_every: int, device: torch.device) -> None:
        self.progress = progress
        self.logbook = logbook
        self.log_every = log_every
        self.device = device
        self._window: list[UpdateFigures] = []
        self._train_nll: float | None = None

    def updated(self, update: int, epochs: float, figures: UpdateFigures) -> None:
        """Hear of an update."""
        self._window.append(figures)
        if update % self.log_every:
            self.progress.update(update, {})
            return
        values = _summary(self._window) | {"train/peak_memory": peak_memory(self.device), "train/epoch": epochs}
        self._window = []
        self._train_nll = values["train/nll"]
        self.logbook.scalars(update, values)
        self.progress.update(update, values)

    def validated(self, update: int, values: Mapping[str, float], best: bool) -> None:
        """Hear of a validation's scores."""
        self.logbook.scalars(update, values)
        known = {} if self._train_nll is None else {"train/nll": self._train_nll}
        self.progress.validated(update, known | dict(values), best)


def _summary(window: list[UpdateFigures]) -> dict[str, float]:
    """The window's figures a token, a second and an update, by their tags."""
    tokens = sum(figures.tokens for figures in window)

    def per_token(sums: list[Tensor]) -> float:
        return float(torch.stack(sums).sum()) / tokens

    return {
        "train/loss": per_token([figures.total for figures in window]),
        "train/nll": per_token([figures.nll for figures in window]),
        **{f"train/{name}": per_token([figures.terms[name] for figures in window]) for name in window[-1].terms},
        "train/lr": window[-1].lr,
        "train/grad_norm": sum(figures.norm for figures in window) / len(window),
        "train/tokens_per_second": tokens / sum(figures.seconds for figures in window),
        "train/seconds_per_update": median(figures.seconds for figures in window),
        "train/padding": 1 - sum(figures.real for figures in window) / sum(figures.cells for figures in window),
    }
