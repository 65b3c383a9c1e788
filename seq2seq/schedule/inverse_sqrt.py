"""Linear warm-up, then decay with the inverse square root of the update: Vaswani et al. (2017), scaled to peak at 1."""

from seq2seq.schedule.base import Schedule, check_warmup


class InverseSqrt(Schedule):
    """factor(u) = min(u / warmup, sqrt(warmup / u)): 1.0 at the peak, so that optimizer.lr is the highest rate."""

    def __init__(self, *, warmup: int) -> None:
        check_warmup(warmup)
        self.warmup = max(warmup, 1)

    def factor(self, update: int) -> float:
        """Rises to 1.0 at update `warmup`, is 0.5 at four times that."""
        return min(update / self.warmup, (self.warmup / update) ** 0.5)
