"""Dropout: Srivastava et al. (2014), inverted, with cheap random numbers on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

COARSE = 2**-8  # smaller probabilities do not use 16 bits: their error would be 0.2% and more


def dropout(states: Float[Tensor, "*N"], p: float, training: bool) -> Float[Tensor, "*N"]:
    """Zero a share `p` of the elements and scale the rest by 1 / (1 - p); the identity outside training.

    Torch's own uses a 64-bit random number for each element on a CPU; 16 bits are enough (p is rounded to 1/65536) if
    neither share is below COARSE. For a million elements on one thread that took 2.2 ms instead of 13.3. Repeatable by
    torch.manual_seed.
    """
    if not training or p == 0:
        return states
    if states.device.type != "cpu" or min(p, 1 - p) < COARSE:
        return F.dropout(states, p)
    words = torch.empty(-(-states.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: states.numel()].view(states.shape)
    keep = bits < round((1 - p) * 2**16) - 2**15
    return states * keep.to(states.dtype).mul_(1 / (1 - p))


class Dropout(nn.Module):
    """`dropout` as a layer. Shapes: any -> the same."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, states: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """Dropout in training, the identity in evaluation."""
        return dropout(states, self.p, self.training)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"p={self.p}"
