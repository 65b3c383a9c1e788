"""What every search offers, and the rules they share: length limits and forbidden tokens."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.model import Model
from seq2seq.types import BOS, EOS, PAD, Component


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Token ids without the end symbol, log p(tokens and end | source), and the score hypotheses are ranked by."""

    tokens: list[int]
    log_prob: float
    score: float


class Search(Component, ABC):
    """Finds likely targets. `max_length` counts tokens with the end symbol; so does `max_length_ratio`, times the
    source's length, plus 10. The last allowed token is the end symbol, so every hypothesis ends."""

    def __init__(self, *, max_length: int, max_length_ratio: float) -> None:
        if max_length < 1:
            raise ValueError(f"search.max_length: expected 1 or more, got {max_length}")
        if max_length_ratio < 0:
            raise ValueError(f"search.max_length_ratio: expected 0 or more, got {max_length_ratio}")
        self.max_length = max_length
        self.max_length_ratio = max_length_ratio

    @abstractmethod
    def __call__(self, model: Model, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> list[list[Hypothesis]]:
        """The hypotheses of each sentence, best first. The model must be in eval mode, without gradients."""

    def limits(self, mask: Bool[Tensor, "B S"]) -> Int[Tensor, " B"]:
        """The most tokens, the end symbol counted, each sentence may have."""
        by_ratio = (mask.sum(1) * self.max_length_ratio).long() + 10
        return by_ratio.clamp(max=self.max_length)


def first_tokens(sentences: int, device: torch.device) -> Int[Tensor, "B 1"]:
    """The symbol every target begins after."""
    return torch.full((sentences, 1), BOS, device=device)


def restrict(log_probs: Float[Tensor, "B K V"], at_limit: Bool[Tensor, " B"]) -> Float[Tensor, "B K V"]:
    """-inf for what may not come next: padding, a second start, and all but the end at a sentence's last position.

    What remains keeps the model's own log-probability: nothing is normalised anew.
    """
    log_probs[..., PAD] = float("-inf")
    log_probs[..., BOS] = float("-inf")
    if at_limit.any():
        end = log_probs[..., EOS].clone()
        log_probs.masked_fill_(at_limit[:, None, None], float("-inf"))
        log_probs[..., EOS] = end
    return log_probs
