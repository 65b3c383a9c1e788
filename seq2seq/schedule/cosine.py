"""Linear warm-up, then half a cosine down to a share of the peak: Loshchilov & Hutter (2017), equation 5."""

import math

from seq2seq.schedule.base import Schedule, check_decay


class Cosine(Schedule):
    """factor(u) = u / warmup, then floor + (1 - floor) · (1 + cos(π · p)) / 2, p the share of the decay that is done.

    arXiv:1608.03983 without restarts; `floor` from the update after the horizon on.
    """

    def __init__(self, *, warmup: float, floor: float, horizon: int | None) -> None:
        check_decay(warmup, floor, horizon)
        self.warmup = warmup
        self.floor = floor
        self.horizon = horizon

    def factor(self, update: int) -> float:
        """1.0 at the end of the warm-up, `floor` after the horizon."""
        if update <= self.warmup_updates:
            return self.rise(update)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * self.decayed(update))) / 2.0
