"""Objectives: what training minimises, as sums over tokens; the trainer divides once, by the whole update's count."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.model.model import TokenLoss
from seq2seq.types import Batch, Component


@dataclass(frozen=True)
class Losses:
    """Sums over a batch's real target tokens, in nats: the objective (with gradients), and its unsmoothed NLL.

    `terms` are the objective's weighted parts by name, where there is more than one.
    """

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]] = field(default_factory=dict)


class Objective(Component, ABC):
    """Maps (model, batch) to the sums that are minimised. It may call the model more than once.

    `recordable`: it launches the same operations for every batch of one shape and reads nothing back from the device,
    so that a CUDA graph may stand for it.
    """

    recordable: ClassVar[bool] = False

    def begin(self, seed: int) -> None:
        """An update begins; `seed` is its own, the same in all processes, for objectives that draw."""
        return

    @abstractmethod
    def __call__(self, model: nn.Module, batch: Batch) -> Losses:
        """The sums over this batch."""


class CrossEntropy(Objective):
    """-log p(target | source), smoothed: Szegedy et al. (2016), arXiv:1512.00567, section 7.

    What the attention asks to be kept small (coverage: See et al. 2017, arXiv:1704.04368, equation 13) is added
    `attention_penalty` times.
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
        """The objective of what a model has said of a batch."""
        if losses.penalty is None or not self.attention_penalty:
            return Losses(losses.loss, losses.nll)
        penalty = self.attention_penalty * losses.penalty
        terms = {"cross_entropy": losses.loss, "attention_penalty": penalty}
        return Losses(losses.loss + penalty, losses.nll, terms)
