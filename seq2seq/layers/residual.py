"""A residual connection with layer normalisation before its block (pre) or after the sum (post, deep).

Post: Vaswani et al. (2017), arXiv:1706.03762, section 5.4. Pre: Xiong et al. (2020), arXiv:2002.04745. Deep: Wang et
al. (2022), arXiv:2203.00555, section 2.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.layers.dropout import Dropout

NormPlace = Literal["pre", "post", "deep"]


class Residual(nn.Module):
    """pre: x + dropout(f(norm(x))); post: norm(x + dropout(f(x))); deep: norm(alpha * x + dropout(f(x))).

    `layer_norm` makes the normalisation; `alpha` is 1 for pre and post. Shapes: [B T D] -> [B T D].
    """

    def __init__(
        self, *, dim: int, norm: NormPlace, alpha: float, dropout: float, layer_norm: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.alpha = alpha
        self.norm = layer_norm(dim=dim, for_products=self.pre)
        self.dropout = Dropout(dropout)

    def forward(
        self, states: Float[Tensor, "B T D"], block: Callable[[Tensor], Float[Tensor, "B T D"]]
    ) -> Float[Tensor, "B T D"]:
        """The states plus the output of `block`."""
        if self.pre:
            return states + self.dropout(block(self.norm(states)))
        carried = states if self.alpha == 1 else self.alpha * states
        return self.norm(carried + self.dropout(block(states)))
