"""Gated feed-forward networks: Shazeer (2020), arXiv:2002.05202, section 2, equations 5 and 6."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.feed_forward.base import ACTIVATIONS, FeedForward
from seq2seq.layers.dropout import Dropout
from seq2seq.layers.layer_arguments import Activation

ALIGNED = 8  # the hidden layer is a multiple of it: fast matrix products in bf16 need that


class GatedFeedForward(FeedForward):
    """W2 dropout(f(W x) * V x), at each position, without biases: SwiGLU if the `gate` f is silu, GEGLU if it is gelu.

    Three matrices take the place of two. So that the parameters stay as many, the hidden layer has two thirds of
    `inner_dim` units (as at the end of section 2), to the next multiple of ALIGNED. Shapes: [B T D] -> [B T D].
    """

    wired: ClassVar[frozenset[str]] = FeedForward.wired

    def __init__(self, *, dim: int, inner_dim: int, dropout: float, gate: Activation) -> None:
        super().__init__()
        self.units = ALIGNED * max(1, round(2 * inner_dim / 3 / ALIGNED))
        self.widen = nn.Linear(dim, 2 * self.units, bias=False)  # W above V: one product
        self.gate = ACTIVATIONS[gate]()
        self.dropout = Dropout(dropout)
        self.narrow = nn.Linear(self.units, dim, bias=False)
        for weight in (*self.widen.weight.detach().split(self.units), self.narrow.weight):
            nn.init.xavier_uniform_(weight)

    def stacked_rows(self) -> dict[str, list[int]]:
        """Of the one product: the gate's matrix, then the gated one."""
        return {"widen.weight": [self.units, self.units]}

    def value_weights(self) -> list[Tensor]:
        """V and W2; the gate's matrix stays."""
        return [self.widen.weight[self.units :], self.narrow.weight]

    def forward(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Transform each position."""
        gates, gated = self.widen(states).chunk(2, -1)
        return self.narrow(self.dropout(self.gate(gates) * gated))
