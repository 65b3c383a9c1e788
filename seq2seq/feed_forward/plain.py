"""Position-wise feed-forward network: Vaswani et al. (2017), arXiv:1706.03762, section 3.3, equation 2."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.feed_forward.base import ACTIVATIONS, FeedForward
from seq2seq.layers.dropout import Dropout
from seq2seq.layers.layer_arguments import Activation


class PlainFeedForward(FeedForward):
    """W2 dropout(f(W1 x + b1)) + b2, at each position; the hidden layer has `inner_dim` units. Shapes: [B T D] ->
    [B T D]."""

    wired: ClassVar[frozenset[str]] = FeedForward.wired | {"activation"}

    def __init__(self, *, dim: int, inner_dim: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.widen = nn.Linear(dim, inner_dim)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        self.narrow = nn.Linear(inner_dim, dim)
        for linear in (self.widen, self.narrow):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def value_weights(self) -> list[Tensor]:
        """Both."""
        return [self.widen.weight, self.narrow.weight]

    def forward(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Transform each position."""
        return self.narrow(self.dropout(self.activation(self.widen(states))))
