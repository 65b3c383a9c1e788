"""A residual connection with layer normalisation before its block (pre) or after the sum (post).

Post: Vaswani et al. (2017), arXiv:1706.03762, section 5.4. Pre: Xiong et al. (2020), arXiv:2002.04745.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.layers.dropout import Dropout

NormPlace = Literal["pre", "post"]


class Residual(nn.Module):
    """pre: x + dropout(f(norm(x))); post: norm(x + dropout(f(x))). Shapes: [B T D] -> [B T D].

    `layer_norm` makes the normalisation.
    """

    def __init__(self, *, dim: int, norm: NormPlace, dropout: float, layer_norm: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.norm = layer_norm(dim=dim, for_products=self.pre)
        self.dropout = Dropout(dropout)

    def forward(
        self, states: Float[Tensor, "B T D"], block: Callable[[Tensor], Float[Tensor, "B T D"]]
    ) -> Float[Tensor, "B T D"]:
        """The states plus the output of `block`."""
        if self.pre:
            return states + self.dropout(block(self.norm(states)))
        return self.norm(states + self.dropout(block(states)))
