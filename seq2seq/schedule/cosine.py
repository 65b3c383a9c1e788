"""Linear warm-up, then half a cosine down to a share of the peak: Loshchilov & Hutter (2017), equation 5."""

import math

from seq2seq.schedule.base import Schedule, check_decay, decayed, warmup_factor


class Cosine(Schedule):
    """factor(u) = u / warmup, then floor + (1 - floor) · (1 + cos(π · p)) / 2, p the share of the decay that is done.

    arXiv:1608.03983 without restarts; `floor` from the update after the horizon on.
    """

    def __init__(self, *, warmup: int, floor: float, horizon: int | None) -> None:
        self.horizon = check_decay(warmup, floor, horizon)
        self.warmup = warmup
        self.floor = floor

    def factor(self, update: int) -> float:
        """1.0 at the end of the warm-up, `floor` after the horizon."""
        if update <= self.warmup:
            return warmup_factor(update, self.warmup)
        done = decayed(update, self.warmup, self.horizon)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * done)) / 2.0
