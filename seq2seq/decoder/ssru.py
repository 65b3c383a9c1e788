"""Transformer decoder with the Simpler Simple Recurrent Unit in place of self-attention: Kim et al. (2019),
aclanthology.org/D19-5632. It is SRU (Lei et al. 2018, arXiv:1709.02755, section 2) without reset gate and highway
connection, and with a ReLU."""

from functools import partial
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.decoder.carrying import CarryingBlock, CarryingDecoder, exact
from seq2seq.decoder.layered import DecoderArguments
from seq2seq.layers.linear_recurrence import linear_recurrence


class SsruDecoder(CarryingDecoder):
    """Layers of Ssru, cross-attention and feed-forward; D = hidden_size. Its state is c of each layer."""

    def __init__(self, **arguments: Unpack[DecoderArguments]) -> None:
        super().__init__(partial(Ssru, dim=arguments["hidden_size"]), **arguments)


class Ssru(CarryingBlock):
    """relu(c_t) with c_t = f_t * c_t-1 + (1 - f_t) * W x_t and f_t = sigmoid(W_f x_t + b_f).

    Shapes: [B T D] -> [B T D], D = `dim`.
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.Linear(dim, 2 * dim, bias=False)  # W_f above W: one product
        self.forget_bias = nn.Parameter(torch.zeros(dim))
        for weight in self.maps.weight.detach().split(dim):
            nn.init.xavier_uniform_(weight)

    def stacked_rows(self) -> dict[str, list[int]]:
        """Of the one product: the forget gate, then the values."""
        return {"maps.weight": [self.dim, self.dim]}

    def value_weights(self) -> list[Tensor]:
        """W."""
        return [self.maps.weight[self.dim :]]

    def forward(self, states: Float[Tensor, "B T D"], scope: None) -> Float[Tensor, "B T D"]:
        """All positions at once."""
        forget, values = self._project(states)
        return F.relu(linear_recurrence(forget, (1 - forget) * values)).to(states.dtype)

    def step(
        self, states: Float[Tensor, "B K D"], carried: Float[Tensor, "B K D"], position: int
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K D"]]:
        """One step, which carries c on."""
        forget, values = self._project(states)
        carried = torch.lerp(values, carried, forget)
        return F.relu(carried).to(states.dtype), carried

    def _project(self, states: Float[Tensor, "B T D"]) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T D"]]:
        """f and W x."""
        gates, values = exact(self.maps(states)).chunk(2, -1)
        return torch.sigmoid(gates + self.forget_bias), values
