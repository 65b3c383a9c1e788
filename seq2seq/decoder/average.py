"""Transformer decoder with average attention in place of self-attention: Zhang, Xiong and Su (2018), arXiv:1805.00631,
section 3."""

from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.decoder.carrying import CarryingBlock, CarryingDecoder, exact
from seq2seq.decoder.layered import DecoderArguments
from seq2seq.feed_forward.base import FeedForward
from seq2seq.layers.layer_arguments import network


class AverageDecoder(CarryingDecoder):
    """Layers of AverageAttention, cross-attention and feed-forward; D = hidden_size. Its state is a sum per layer.

    With `average_feed_forward`, as in the paper, each average passes a feed-forward network like the layer's own.
    """

    def __init__(self, *, average_feed_forward: bool, **arguments: Unpack[DecoderArguments]) -> None:
        super().__init__(
            lambda: AverageAttention(
                dim=arguments["hidden_size"], feed_forward=network(arguments) if average_feed_forward else None
            ),
            **arguments,
        )


class AverageAttention(CarryingBlock):
    """i_t * x_t + f_t * g_t with g_t = FFN(mean of x_1 ... x_t) and [i_t; f_t] = sigmoid(W [x_t; g_t] + b): equations 1
    and 2; FFN is the identity where `feed_forward` is None. Shapes: [B T D] -> [B T D], D = `dim`."""

    def __init__(self, *, dim: int, feed_forward: FeedForward | None) -> None:
        super().__init__()
        self.dim = dim
        self.feed_forward = feed_forward
        self.gate_map = nn.Linear(2 * dim, 2 * dim)  # the input gate above the forget gate: one product
        for weight in self.gate_map.weight.detach().split(dim):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.gate_map.bias)

    def stacked_rows(self) -> dict[str, list[int]]:
        """Of the one product: the input gate, then the forget gate."""
        return {"gate_map.weight": [self.dim, self.dim]}

    def value_weights(self) -> list[Tensor]:
        """Those of the feed-forward network, if there is one."""
        return [] if self.feed_forward is None else self.feed_forward.value_weights()

    def forward(self, states: Float[Tensor, "B T D"], scope: None) -> Float[Tensor, "B T D"]:
        """All positions at once."""
        sums = exact(states).cumsum(1)
        counts = torch.arange(1, states.shape[1] + 1, device=states.device)
        return self._gated(states, (sums / counts.unsqueeze(-1)).to(states.dtype))

    def step(
        self, states: Float[Tensor, "B K D"], carried: Float[Tensor, "B K D"], position: int
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K D"]]:
        """One step, which carries the sum on."""
        carried = carried + states
        return self._gated(states, (carried / (position + 1)).to(states.dtype)), carried

    def _gated(self, states: Float[Tensor, "B T D"], means: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        found = means if self.feed_forward is None else self.feed_forward(means)
        keep, forget = self.gate_map(torch.cat((states, found.to(states.dtype)), -1)).sigmoid().chunk(2, -1)
        return keep * states + forget * found
