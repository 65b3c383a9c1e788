"""The interface that search needs: encode sources, and give the probabilities of the next token step by step."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.generator.shortlist import Shortlist


class Stepwise(nn.Module, ABC):
    """log p(next token | source, tokens so far). The result of `encode` has a mask; `start` and `step` return a State.

    `target_start` are the ids that its targets have begun with before the first step; hypotheses do not have them.
    """

    target_start: tuple[int, ...] = ()

    @abstractmethod
    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Any:
        """The memory of the source."""

    @abstractmethod
    def start(self, memory: Any, shortlist: Shortlist | None = None) -> Any:
        """The state before the first token; outputs have all tokens, or only those of each sentence's `shortlist`."""

    @abstractmethod
    def step(
        self, tokens: Int[Tensor, "B K"], state: Any, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B K S"] | None, Any]:
        """Log-probabilities of the token after `tokens`, for each hypothesis; on request the attention weights of the
        last layer with attention, the mean over its heads; and the new state."""

    def rank(self, tokens: Int[Tensor, "B K"], state: Any) -> tuple[Float[Tensor, "B K V"], Any]:
        """Log-probabilities, plus any number for each position, and the new state: for the best token alone, models may
        leave out what is the same for all of them."""
        log_probs, _, state = self.step(tokens, state)
        return log_probs, state
