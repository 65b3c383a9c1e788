"""What every learning-rate schedule is: a function of the update's number, and for some of the validation scores."""

import math
from abc import abstractmethod
from typing import Any

from seq2seq.types import Component


class Schedule(Component):
    """Multiplies the optimizer's learning rate. Updates are counted 1, 2, ...; the first one already has a factor."""

    @abstractmethod
    def factor(self, update: int) -> float:
        """What the learning rate is multiplied by at `update` (>= 1)."""

    def observe(self, score: float, higher_is_better: bool, nll: float = math.nan) -> None:
        """Take in a validation's score and its negative log-likelihood; only schedules that react to it (plateau) do
        anything."""
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


def warmup_factor(update: int, warmup: int) -> float:
    """The linear rise to 1.0, reached at update `warmup`; 1.0 from there on, and always if there is no warm-up."""
    return min(update / warmup, 1.0) if warmup else 1.0


def check_warmup(warmup: int) -> None:
    """Raise ValueError unless `warmup` is a possible number of updates."""
    if warmup < 0:
        raise ValueError(f"schedule.warmup: expected 0 or more updates, got {warmup}")


def check_decay(warmup: int, floor: float, horizon: int | None) -> int:
    """The horizon of a schedule that decays to `floor`; raises ValueError if the three do not fit together."""
    check_warmup(warmup)
    check_share("floor", floor)
    if horizon is None:
        raise ValueError("schedule.horizon: must be given where trainer.max_updates is null")
    if horizon <= warmup:
        raise ValueError(f"schedule.horizon: expected more than schedule.warmup ({warmup} updates), got {horizon}")
    return horizon


def decayed(update: int, warmup: int, horizon: int) -> float:
    """How much of a decay is done: 0 at `warmup`, 1 once the horizon is past. The update at the horizon, often a run's
    last, is the last step before that: with a floor of 0 it would else change nothing."""
    return min((update - warmup) / (horizon + 1 - warmup), 1.0)


def check_share(name: str, share: float) -> None:
    """Raise ValueError unless the argument `name` is a share of the peak."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"schedule.{name}: expected a share of the peak, from 0 to 1, got {share}")
