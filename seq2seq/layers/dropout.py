"""Dropout: Srivastava et al. (2014), inverted, with cheap random numbers on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

COARSE = 2**-8  # shares below it are not drawn with 16 bits: they would be off by 0.2% and more


def dropout(states: Float[Tensor, "*N"], p: float, training: bool) -> Float[Tensor, "*N"]:
    """Zero a share `p` of the numbers and scale the rest by 1 / (1 - p); the numbers themselves outside training.

    Torch's own draws a number of 64 bits for each element on a CPU; 16 bits do (p is kept to 1/65536) where neither
    share is below COARSE. In one measurement, of a million numbers on one thread, that took 2.2 ms against 13.3.
    Repeatable by torch.manual_seed.
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
        """Drop in training, pass on in evaluation."""
        return dropout(states, self.p, self.training)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"p={self.p}"
