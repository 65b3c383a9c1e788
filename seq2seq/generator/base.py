"""What every generator offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.generator.shortlist import Shortlist
from seq2seq.types import Component, Decoded, Weights


class Generator(nn.Module, Component, ABC):
    """Features [B T D] -> log-probabilities [B T V], or straight to a loss where that is cheaper.

    `table` is an embedding table [V E] whose weights serve as output weights too, or None. `tokens` are the source
    ids that the memory's states stand for, None where they stand for none.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"feature_dim", "vocab_size", "table"})
    weights: ClassVar[Weights] = Weights.NONE  # the attention weights that it reads

    @abstractmethod
    def log_probs(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None) -> Float[Tensor, "B T V"]:
        """Log-probabilities, in fp32 at least."""

    @abstractmethod
    def prepare(self, shortlist: Shortlist) -> Shortlist:
        """What `log_probs_among` reads of these tokens, once a source."""

    @abstractmethod
    def log_probs_among(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Any
    ) -> Float[Tensor, "B T L"]:
        """Log-probabilities of the shortlist's tokens where there are no others, in fp32 at least; `shortlist` is from
        `prepare`."""

    @abstractmethod
    def loss(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        smoothing: float,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Sums over the real tokens: the smoothed loss and the plain negative log-likelihood, in nats."""

    @abstractmethod
    def target_log_probs(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, " N"]:
        """Log-probabilities of the targets alone, one a row of `layers.real.real`, in fp32 at least."""
