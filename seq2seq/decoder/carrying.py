"""Decoders that carry a state of constant size from step to step instead of a cache that grows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import AttentionState
from seq2seq.decoder.layered import LayeredDecoder
from seq2seq.types import Decoded, Memory, State, Weights, hypothesis_part


class CarryingBlock(nn.Module, ABC):
    """What takes the place of self-attention: it knows earlier positions by one vector. Shapes: [B T D] -> [B T D].

    The vector is in fp32 at least, so that rounding does not add up over the steps.
    """

    @abstractmethod
    def value_weights(self) -> list[Tensor]:
        """The matrices of values and of the output, which `norm: deep` makes smaller at the start."""

    @abstractmethod
    def forward(self, states: Float[Tensor, "B T D"], scope: None) -> Float[Tensor, "B T D"]:
        """All positions at once. Padding is on the right, so that no mask is needed."""

    @abstractmethod
    def step(
        self, states: Float[Tensor, "B K D"], carried: Float[Tensor, "B K D"], position: int
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K D"]]:
        """The step at `position`, counted from 0: its output, and the vector to carry on."""


def exact(states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
    """In fp32 at least."""
    return states.to(torch.promote_types(states.dtype, torch.float32))


@dataclass(frozen=True)
class CarriedState(State):
    """One vector and one attention state per layer, and the number of steps."""

    carried: tuple[Float[Tensor, "B K D"], ...] = hypothesis_part()
    attention: tuple[AttentionState, ...] = hypothesis_part()
    position: int = 0


class CarryingDecoder(LayeredDecoder):
    """Layers of a CarryingBlock, cross-attention and feed-forward; D = hidden_size."""

    def start(self, memory: Memory) -> CarriedState:
        """Zeros; each layer's attention prepares the memory."""
        nothing = exact(memory.states.new_zeros(memory.states.shape[0], 1, self.embedding.width))
        return CarriedState((nothing,) * self.depth, self.attending(memory))

    def whole(self, target_in: Int[Tensor, "B T"]) -> None:
        """Nothing is shared."""

    def step(
        self, tokens: Int[Tensor, "B K"], state: CarriedState, weights: Weights = Weights.NONE
    ) -> tuple[Decoded, CarriedState]:
        """One position of K hypotheses."""
        inputs = self.embedding.step(tokens, state.position)
        decoded, carried, memories = self.step_within(inputs, state.position, state.carried, state.attention, weights)
        return decoded, CarriedState(carried, memories, state.position + 1)
