"""A constant learning rate, after an optional linear warm-up."""

from seq2seq.schedule.base import Schedule, check_warmup, warmup_factor


class Constant(Schedule):
    """factor(u) = min(u / warmup, 1)."""

    def __init__(self, *, warmup: int) -> None:
        check_warmup(warmup)
        self.warmup = warmup

    def factor(self, update: int) -> float:
        """1.0, once warmed up."""
        return warmup_factor(update, self.warmup)
