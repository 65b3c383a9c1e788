"""Linear warm-up, then linear decay to a share of the peak at the horizon."""

from seq2seq.schedule.base import Schedule, check_decay, warmup_factor


class Linear(Schedule):
    """factor(u) = u / warmup, then a straight line from 1.0 at `warmup` to `floor` at `horizon`, and `floor` beyond."""

    def __init__(self, *, warmup: int, floor: float, horizon: int | None) -> None:
        self.horizon = check_decay(warmup, floor, horizon)
        self.warmup = warmup
        self.floor = floor

    def factor(self, update: int) -> float:
        """1.0 at the end of the warm-up, `floor` from the horizon on."""
        if update <= self.warmup:
            return warmup_factor(update, self.warmup)
        left = max(self.horizon - update, 0) / (self.horizon - self.warmup)
        return self.floor + (1.0 - self.floor) * left
