"""Cross-entropy with label smoothing, plus the attention's own loss."""

from typing import ClassVar

from torch import nn

from seq2seq.model.model import TokenLoss
from seq2seq.objective.base import Losses, Objective
from seq2seq.types import Batch


class CrossEntropy(Objective):
    """-log p(target | source), smoothed: Szegedy et al. (2016), arXiv:1512.00567, section 7.

    The attention's own loss (coverage: See et al. 2017, arXiv:1704.04368, equation 13) is added `attention_penalty`
    times.
    """

    recordable: ClassVar[bool] = True

    def __init__(self, *, label_smoothing: float, attention_penalty: float) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"objective.label_smoothing must lie in [0, 1), not {label_smoothing}")
        if attention_penalty < 0:
            raise ValueError(f"objective.attention_penalty must be at least 0, not {attention_penalty}")
        self.label_smoothing = label_smoothing
        self.attention_penalty = attention_penalty

    def __call__(self, model: nn.Module, batch: Batch) -> Losses:
        """One pass over the batch."""
        return self.of(model(batch, self.label_smoothing))

    def of(self, losses: TokenLoss) -> Losses:
        """The objective from a model's outputs for a batch."""
        if losses.penalty is None or not self.attention_penalty:
            return Losses(losses.loss, losses.nll)
        penalty = self.attention_penalty * losses.penalty
        terms = {"cross_entropy": losses.loss, "attention_penalty": penalty}
        return Losses(losses.loss + penalty, losses.nll, terms)
