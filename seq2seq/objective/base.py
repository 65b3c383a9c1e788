"""The interface of objectives: sums over tokens; the trainer divides once, by the whole update's count."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.model.model import Model
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import Batch, Component


@dataclass(frozen=True)
class Losses:
    """Sums over a batch's real target tokens, in nats: the objective (with gradients), and its unsmoothed NLL.

    `terms` are the objective's weighted parts by name, if there are several.
    """

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]] = field(default_factory=dict)

    def scaled(self, factor: float, *names: str) -> "Losses":
        """With the terms of these names, `cross_entropy` among them, multiplied by `factor`."""
        terms = self.terms or {"cross_entropy": self.total}
        inside = sum((term for name, term in terms.items() if name in names), torch.zeros_like(self.total))
        others = sum((term for name, term in terms.items() if name not in names), torch.zeros_like(self.total))
        weighted = {name: factor * term if name in names else term for name, term in terms.items()}
        return Losses(factor * inside + others, self.nll, weighted)


class Objective(Component, ABC):
    """Maps (model, batch) to the sums that are minimised. It may call the model more than once.

    `fingerprint` changes with what it learns from beside the pairs; None if there is nothing. `prepare` sets it.
    """

    fingerprint: str | None = None

    @classmethod
    def recordable(cls, **arguments: Any) -> bool:
        """Whether, with these YAML arguments, it launches the same operations for every batch of one shape and does not
        synchronise with the device, so that CUDA graphs can capture it."""
        return False

    def prepare(self, train: EncodedCorpus, tokenizer: Tokenizer) -> None:
        """Called once before training, with its corpus. Raises DataError."""
        return

    def begin(self, seed: int, update: int) -> None:
        """Called at the start of each update, counted from 1; `seed` is that of the update, the same in all processes,
        for objectives that sample."""
        return

    @abstractmethod
    def __call__(self, model: Model, batch: Batch) -> Losses:
        """The sums over this batch."""
