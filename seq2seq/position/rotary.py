"""Rotary positions: RoFormer, Su et al. (2021), arXiv:2104.09864, section 3.2 and equation 34."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.position.base import Position


class RotaryPosition(Position):
    """(x_2i, x_2i+1) of a query or key at position t is rotated by the angle t / 10000^(2i/d), with d = dim / heads.

    The score of a query at m and a key at n then depends on m - n; values are not rotated. Shapes: [B H T d] ->
    [B H T d].
    """

    frequencies: Tensor

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__(dim=dim, heads=heads)
        width = dim // heads
        exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
        self.register_buffer("frequencies", torch.exp(-math.log(10_000.0) * exponents), persistent=False)

    @classmethod
    def problem(cls, *, dim: int, heads: int, **arguments: Any) -> str | None:
        """Features are rotated in pairs."""
        if heads < 1 or dim % heads or dim // heads % 2 == 0:  # another part reports heads that do not divide the width
            return None
        return f"position=rotary rotates pairs of features: the width of a head must be even, not {dim} / {heads}"

    def rotate(self, states: Float[Tensor, "B H T d"], positions: Int[Tensor, " T"]) -> Float[Tensor, "B H T d"]:
        """Each pair as a complex number, times e^(i angle): equation 12."""
        angles = positions.unsqueeze(1).to(self.frequencies.dtype) * self.frequencies
        exact = states.to(torch.promote_types(states.dtype, torch.float32))
        pairs = torch.view_as_complex(exact.unflatten(-1, (-1, 2)))
        turns = torch.polar(torch.ones_like(angles), angles).to(pairs.dtype)
        return torch.view_as_real(pairs * turns).flatten(-2).to(states.dtype)
