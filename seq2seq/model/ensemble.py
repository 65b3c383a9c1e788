"""An ensemble of models: the mean of their probabilities, as in Sutskever et al. (2014), arXiv:1409.3215, section 3.6
and table 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.generator.shortlist import Shortlist
from seq2seq.layers.modules import Layers
from seq2seq.model.stepwise import Stepwise
from seq2seq.types import State, hypothesis_part, source_part


@dataclass(frozen=True)
class Memories(State):
    """Each model's memory."""

    each: tuple[Any, ...] = source_part()

    @property
    def mask(self) -> Bool[Tensor, "B S"]:
        """Of the first model's memory."""
        return self.each[0].mask


@dataclass(frozen=True)
class States(State):
    """Each model's state."""

    each: tuple[Any, ...] = hypothesis_part()


class Ensemble(Stepwise):
    """p(token) = 1/N * sum over the N models of p_n(token). They must have the same vocabularies.

    Requested attention weights are those of the first model.
    """

    def __init__(self, models: Sequence[Stepwise]) -> None:
        super().__init__()
        self.models = Layers(models)

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memories:
        """Each model's memory of the source."""
        return Memories(tuple(model.encode(source, mask) for model in self.models))

    def start(self, memory: Memories, shortlist: Shortlist | None = None) -> States:
        """Each model's state before the first token."""
        pairs = zip(self.models, memory.each, strict=True)
        return States(tuple(model.start(own, shortlist) for model, own in pairs))

    def step(
        self, tokens: Int[Tensor, "B K"], state: States, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B K S"] | None, States]:
        """The log of the mean of their probabilities, the first model's weights, all states."""
        needed = [need_weights] + [False] * (len(self.models) - 1)
        steps = zip(self.models, state.each, needed, strict=True)
        log_probs, weights, states = zip(*(model.step(tokens, own, ask) for model, own, ask in steps), strict=True)
        return reduce(torch.logaddexp, log_probs) - math.log(len(self.models)), weights[0], States(states)
