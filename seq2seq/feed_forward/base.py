"""What every feed-forward network offers."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.layers.layer_arguments import Activation
from seq2seq.types import Component

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class FeedForward(nn.Module, Component, ABC):
    """A network with one hidden layer, at each position. Shapes: [B T D] -> [B T D], D = `dim`.

    `inner_dim` says how large it is: about 2 * `dim` * `inner_dim` weights, in every kind. `dropout` is that of the
    hidden layer. A kind whose activation can be chosen has `activation` in `wired`.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim", "inner_dim", "dropout"})

    @abstractmethod
    def value_weights(self) -> list[Tensor]:
        """The matrices whose product is in every output: `norm: deep` makes them smaller at the start."""

    @abstractmethod
    def forward(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Transform each position."""
