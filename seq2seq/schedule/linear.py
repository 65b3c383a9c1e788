"""Linear warm-up, then linear decay to a share of the peak after the horizon."""

from seq2seq.schedule.base import Schedule, check_decay


class Linear(Schedule):
    """factor(u) = u / warmup, then a straight line from 1.0 at `warmup` to `floor` at `horizon` + 1."""

    def __init__(self, *, warmup: float, floor: float, horizon: int | None) -> None:
        check_decay(warmup, floor, horizon)
        self.warmup = warmup
        self.floor = floor
        self.horizon = horizon

    def factor(self, update: int) -> float:
        """1.0 at the end of the warm-up, `floor` after the horizon."""
        if update <= self.warmup_updates:
            return self.rise(update)
        return self.floor + (1.0 - self.floor) * (1.0 - self.decayed(update))
