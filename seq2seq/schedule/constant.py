"""A constant learning rate, after an optional linear warm-up."""

from seq2seq.schedule.base import Schedule, checked_warmup


class Constant(Schedule):
    """factor(u) = min(u / warmup, 1)."""

    def __init__(self, *, warmup: float) -> None:
        self.warmup = checked_warmup(warmup)

    def factor(self, update: int) -> float:
        """1.0, once warmed up."""
        return self.rise(update)
