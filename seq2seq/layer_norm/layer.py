"""Layer normalisation: Ba et al. (2016), arXiv:1607.06450; fused on a GPU."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.layer_norm.base import LayerNormalization
from seq2seq.runtime.triton import kernels


class LayerNorm(nn.LayerNorm, LayerNormalization):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last dimension. Shapes: [... D] -> [... D].

    On a GPU with Triton a result that is `for_products` is in autocast's precision, to which they would round it.
    """

    wired: ClassVar[frozenset[str]] = LayerNormalization.wired | {"for_products"}

    def __init__(self, *, dim: int, for_products: bool) -> None:
        super().__init__(dim)
        self.for_products = for_products

    def forward(self, states: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Normalise each position."""
        if self.for_products and states.is_cuda and torch.is_autocast_enabled("cuda") and states.dtype is torch.float32:
            fused = kernels("seq2seq.layers.norm_kernels")
            if fused is not None and states.shape[-1] <= fused.WIDEST:
                dtype = torch.get_autocast_dtype("cuda")
                normed: Tensor = fused.fused_layer_norm(states, self.weight, self.bias, self.eps, dtype)
                return normed
        return super().forward(states)
