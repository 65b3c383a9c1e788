"""Linear warm-up, then linear decay to a share of the peak after the horizon."""

from seq2seq.schedule.base import Schedule, check_decay, decayed, warmup_factor


class Linear(Schedule):
    """factor(u) = u / warmup, then a straight line from 1.0 at `warmup` to `floor` at `horizon` + 1."""

    def __init__(self, *, warmup: int, floor: float, horizon: int | None) -> None:
        self.horizon = check_decay(warmup, floor, horizon)
        self.warmup = warmup
        self.floor = floor

    def factor(self, update: int) -> float:
        """1.0 at the end of the warm-up, `floor` after the horizon."""
        if update <= self.warmup:
            return warmup_factor(update, self.warmup)
        return self.floor + (1.0 - self.floor) * (1.0 - decayed(update, self.warmup, self.horizon))
