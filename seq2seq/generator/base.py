"""What every generator offers."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.types import Component, Decoded


class Generator(nn.Module, Component, ABC):
    """Features [B T D] -> log-probabilities [B T V], or straight to a loss where that is cheaper.

    `table` is an embedding table [V E] whose weights serve as output weights too, or None.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"feature_dim", "vocab_size", "table"})

    @abstractmethod
    def log_probs(self, decoded: Decoded) -> Float[Tensor, "B T V"]:
        """Log-probabilities, in fp32 at least."""

    @abstractmethod
    def loss(
        self, decoded: Decoded, targets: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"], smoothing: float
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Sums over the real tokens: the smoothed loss and the plain negative log-likelihood, in nats."""
