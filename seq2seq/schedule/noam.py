"""The Transformer's own schedule: Vaswani et al. (2017), arXiv:1706.03762, equation 3."""

from seq2seq.schedule.base import Schedule, checked_warmup


class Noam(Schedule):
    """factor(u) = dim^-0.5 · min(u^-0.5, u · warmup^-1.5), with optimizer.lr as the scale (1.0 in the paper).

    The peak, at update `warmup`, is (dim · warmup)^-0.5.
    """

    def __init__(self, *, dim: int, warmup: float) -> None:
        if dim < 1:
            raise ValueError(f"schedule.dim: expected the model's width, got {dim}")
        self.dim = dim
        self.warmup = checked_warmup(warmup)

    def factor(self, update: int) -> float:
        """The learning rate itself, if optimizer.lr is 1.0."""
        warmup = max(self.warmup_updates, 1)
        return float(self.dim**-0.5 * min(update**-0.5, update * warmup**-1.5))
