"""Linear warm-up, then decay with the inverse square root of the update: Vaswani et al. (2017), scaled to peak at 1."""

from seq2seq.schedule.base import Schedule, checked_warmup


class InverseSqrt(Schedule):
    """factor(u) = min(u / warmup, sqrt(warmup / u)): 1.0 at the peak, so that optimizer.lr is the highest rate."""

    def __init__(self, *, warmup: float) -> None:
        self.warmup = checked_warmup(warmup)

    def factor(self, update: int) -> float:
        """Rises to 1.0 at update `warmup`, is 0.5 at four times that."""
        warmup = max(self.warmup_updates, 1)
        return min(update / warmup, float((warmup / update) ** 0.5))
