"""The interface of learning-rate schedules: functions of the update's number, and for some of the validation scores."""

import math
from abc import abstractmethod
from typing import Any

from seq2seq.types import Component

# The fewest updates of a warm-up given as a share: before, Adam's running square is a mean of too few gradients
# (2 / (1 - 0.98): Ma & Yarats 2021, arXiv:1910.04209). It is also the warm-up until a plan is known.
LEAST_WARMUP = 100


class Schedule(Component):
    """Multiplies the optimizer's learning rate. Updates are counted 1, 2, ...; the first one already has a factor.

    `warmup` is a number of updates or, below 1, a share of the run; `horizon` is the update at which a decay ends, or
    None for the end of the run. The length of the run is set by `plan`.
    """

    warmup: float = 0
    horizon: int | None = None
    planned: int | None = None

    @abstractmethod
    def factor(self, update: int) -> float:
        """The factor of the learning rate at `update` (>= 1)."""

    def plan(self, updates: int) -> None:
        """Set the run's number of updates, from which shares are computed."""
        self.planned = updates

    @property
    def end(self) -> int:
        """The last update of the schedule: its horizon, or the last one planned."""
        return self.horizon or self.planned or 0

    @property
    def warmup_updates(self) -> int:
        """Updates of warm-up; a share is at least 100 updates, but at most half of the run."""
        if not 0 < self.warmup < 1:
            return int(self.warmup)
        least = LEAST_WARMUP if self.end == 0 else min(LEAST_WARMUP, self.end // 2)
        return max(1, round(self.warmup * self.end), least)

    def over(self, update: int) -> bool:
        """Whether the plan ends with `update`, and the learning rate would be 0 afterwards."""
        return self.horizon is None and self.planned is not None and self.factor(update + 1) == 0.0

    def too_long_a_warmup(self) -> str | None:
        """A warning, if the run ends before its learning rate reaches the peak."""
        if self.planned is None or self.warmup_updates <= self.planned:
            return None
        return (
            f"schedule.warmup={self.warmup:g} updates exceed the {self.planned:,} of the run: the learning rate "
            "never reaches optimizer.lr. Type schedule.warmup=0.1 for a tenth of the run"
        )

    def rise(self, update: int) -> float:
        """The linear rise to 1.0, reached at the end of the warm-up; 1.0 from there on, and always without warm-up."""
        warmup = self.warmup_updates
        return min(update / warmup, 1.0) if warmup else 1.0

    def decayed(self, update: int) -> float:
        """The share of a decay that is done: 0 until the warm-up is over and the end is known, 1 after `end`. The
        update at the end, often a run's last, is the last step before that: otherwise, with a floor of 0, it would
        change nothing."""
        if self.horizon is None and self.planned is None:
            return 0.0
        warmup = self.warmup_updates
        return min(max(update - warmup, 0) / max(self.end + 1 - warmup, 1), 1.0)

    def observe(self, score: float, higher_is_better: bool, nll: float = math.nan) -> None:
        """Called with a validation's score and its negative log-likelihood; only plateau uses it."""
        return

    def state(self) -> dict[str, Any]:
        """What must be kept to continue, as plain JSON values; empty for a pure function of the update."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state()` of the same schedule; raises ValueError if it belongs to another."""
        expected = self.state().keys()
        if state.keys() != expected:
            raise ValueError(
                f"this state is of another schedule: it holds {sorted(state) or 'nothing'}, "
                f"{type(self).__name__} keeps {sorted(expected) or 'nothing'}"
            )


def checked_warmup(warmup: float) -> float:
    """The warm-up; raises ValueError unless it is a possible number of updates or a share of the run."""
    if warmup < 0:
        raise ValueError(f"schedule.warmup: expected 0 or more updates, got {warmup}")
    if warmup > 1 and warmup != int(warmup):
        raise ValueError(
            f"schedule.warmup: expected a whole number of updates, or a share of the run below 1, got {warmup}"
        )
    return warmup


def check_decay(warmup: float, floor: float, horizon: int | None) -> None:
    """Raise ValueError if a decay to `floor` at `horizon` does not fit a warm-up."""
    checked_warmup(warmup)
    check_share("floor", floor)
    if horizon is not None and horizon <= warmup:
        raise ValueError(f"schedule.horizon: expected more than schedule.warmup ({warmup} updates), got {horizon}")


def check_share(name: str, share: float) -> None:
    """Raise ValueError unless the argument `name` is a share of the peak."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"schedule.{name}: expected a share of the peak, from 0 to 1, got {share}")
