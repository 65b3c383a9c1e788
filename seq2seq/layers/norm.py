"""Layer normalisation before a block: Ba et al. (2016), arXiv:1607.06450; fused on a GPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.runtime.triton import kernels


class LayerNorm(nn.LayerNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last dimension. Shapes: [... D] -> [... D].

    On a GPU with Triton the result is in autocast's precision, to which the next product would round it.
    """

    def forward(self, states: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Normalise each position."""
        if states.is_cuda and torch.is_autocast_enabled("cuda") and states.dtype is torch.float32:
            fused = kernels("seq2seq.layers.norm_kernels")
            if fused is not None and states.shape[-1] <= fused.WIDEST:
                dtype = torch.get_autocast_dtype("cuda")
                normed: Tensor = fused.fused_layer_norm(states, self.weight, self.bias, self.eps, dtype)
                return normed
        return super().forward(states)
