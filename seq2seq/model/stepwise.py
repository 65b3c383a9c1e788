"""What search asks of a model: to read sources, and to say step by step how probable each next token is."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.generator.shortlist import Shortlist


class Stepwise(nn.Module, ABC):
    """log p(next token | source, tokens so far). What `encode` returns has the mask of what can be attended to; what
    `start` and `step` return is a State."""

    @abstractmethod
    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Any:
        """What is remembered of the source."""

    @abstractmethod
    def start(self, memory: Any, shortlist: Shortlist | None = None) -> Any:
        """The state before the first token; targets are made of all tokens, or of each sentence's `shortlist`."""

    @abstractmethod
    def step(
        self, tokens: Int[Tensor, "B K"], state: Any, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B K S"] | None, Any]:
        """Log-probabilities of the token after `tokens`, for each hypothesis; on request the weights by which the last
        layer that attends read the memory, the mean over its heads; and the state that holds the tokens."""
