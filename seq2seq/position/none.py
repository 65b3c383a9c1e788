"""No positions: a model sees its tokens as a bag, except where recurrence or a causal mask tells their order."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.position.base import Position


class NoPosition(Position):
    """Adds nothing. Shapes: [P] -> [1 1], zero."""

    def embed(self, positions: Int[Tensor, " P"]) -> Float[Tensor, "1 1"]:
        """Zero."""
        return torch.zeros(1, 1, device=positions.device)
