"""A learning rate that is reduced whenever the validation score has stopped improving."""

import math
from typing import Any

from seq2seq.schedule.base import Schedule, check_share, checked_warmup


class Plateau(Schedule):
    """factor(u) = min(u / warmup, 1) · scale, where `scale` shrinks after `patience` validations without a new best.

    The count starts again after each cut. NaN is not an improvement; an equal score is, if its negative log-likelihood
    is lower.
    """

    def __init__(self, *, warmup: float, shrink: float, patience: int, threshold: float, floor: float) -> None:
        check_share("floor", floor)
        if not 0.0 < shrink < 1.0:
            raise ValueError(f"schedule.shrink: expected a number between 0 and 1, got {shrink}")
        if patience < 1:
            raise ValueError(f"schedule.patience: expected 1 or more validations, got {patience}")
        if threshold < 0.0:
            raise ValueError(f"schedule.threshold: expected 0 or more, got {threshold}")
        self.warmup = checked_warmup(warmup)
        self.shrink = shrink
        self.patience = patience
        self.threshold = threshold
        self.floor = floor
        self.scale = 1.0
        self.best: float | None = None
        self.nll = math.nan  # of the best
        self.waited = 0

    def factor(self, update: int) -> float:
        """The warm-up factor times the cuts so far."""
        return self.rise(update) * self.scale

    def observe(self, score: float, higher_is_better: bool, nll: float = math.nan) -> None:
        """Cut the rate if this is the `patience`-th validation in a row that is not better by more than `threshold`."""
        if self._improves(score, higher_is_better) or (score == self.best and nll < self.nll):
            self.best, self.nll, self.waited = score, nll, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.scale, self.waited = max(self.scale * self.shrink, self.floor), 0

    def _improves(self, score: float, higher_is_better: bool) -> bool:
        if self.best is None:
            return score == score  # false for NaN alone
        gain = score - self.best if higher_is_better else self.best - score
        return gain > self.threshold

    def state(self) -> dict[str, Any]:
        """The cuts so far, the best score and how long ago it was."""
        return {"scale": self.scale, "best": self.best, "nll": self.nll, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        state = {"nll": math.nan, **state} if state else state  # older runs have none
        super().restore(state)
        self.scale, self.best, self.nll, self.waited = (state[key] for key in ("scale", "best", "nll", "waited"))
