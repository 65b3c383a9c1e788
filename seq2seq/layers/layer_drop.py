"""Layer drop: Fan et al. (2020), arXiv:1909.11556, section 3.2."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LayerDrop(nn.Module):
    """In training, leaves out a layer for the whole micro-batch with probability `p`; in evaluation all layers run.
    Shapes: [B T D] -> [B T D].

    The layer is computed in any case, and its gradients are then zero: processes that share an update wait for the
    gradients of all parameters, and CUDA graphs do not branch. The draw is one number of torch's generator, on the
    device.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, before: Float[Tensor, "B T D"], after: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The states after the layer, or those before it."""
        if not self.training or self.p == 0:
            return after
        return torch.where(torch.rand((), device=after.device) < self.p, before, after)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"p={self.p}"
