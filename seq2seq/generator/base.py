"""What every generator offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.generator.shortlist import Shortlist
from seq2seq.types import Component, Decoded, Weights


class Generator(nn.Module, Component, ABC):
    """Features [B T D] -> log-probabilities [B T V], or directly to a loss if that is cheaper.

    `table` is an embedding table [V E] shared with the output layer, or None. `tokens` are the source ids of the
    memory's states, None after pooling.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"feature_dim", "vocab_size", "table"})
    weights: ClassVar[Weights] = Weights.NONE  # the attention weights that it reads

    @abstractmethod
    def log_probs(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None) -> Float[Tensor, "B T V"]:
        """Log-probabilities, in fp32 at least."""

    def scores(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Any) -> Float[Tensor, "B T V"]:
        """Log-probabilities, or these plus a number for each position that need not be known: for the best token, of
        all or of a prepared shortlist."""
        return (
            self.log_probs(decoded, tokens) if shortlist is None else self.log_probs_among(decoded, tokens, shortlist)
        )

    @abstractmethod
    def real_log_probs(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "N V"]:
        """Log-probabilities of every token, one row per row of `layers.unpad.unpad`, in fp32 at least."""

    @abstractmethod
    def prepare(self, shortlist: Shortlist) -> Shortlist:
        """The input of `log_probs_among` for these tokens, once per source."""

    @abstractmethod
    def log_probs_among(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Any
    ) -> Float[Tensor, "B T L"]:
        """Log-probabilities of the shortlist's tokens, normalised over these, in fp32 at least; `shortlist` is from
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
        """Log-probabilities of the targets only, one per row of `layers.unpad.unpad`, in fp32 at least."""
