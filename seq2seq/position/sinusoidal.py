"""Sinusoidal positions: Vaswani et al. (2017), arXiv:1706.03762, section 3.5."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.position.base import Position


class SinusoidalPosition(Position):
    """p[t, 2i] = sin(t / 10000^(2i/D)), p[t, 2i+1] = cos(the same). There is no maximum length. Shapes: [P] -> [P D].

    `recurrent` says whether LSTM and GRU parts use it too; they know the order anyway.
    """

    frequencies: Tensor

    def __init__(self, *, dim: int, heads: int, recurrent: bool) -> None:
        super().__init__(dim=dim, heads=heads)
        self.recurrent = recurrent
        exponents = torch.arange(0, dim, 2, dtype=torch.float64) / dim
        self.register_buffer("frequencies", torch.exp(-math.log(10_000.0) * exponents), persistent=False)

    def embed(self, positions: Int[Tensor, " P"], tokens: Int[Tensor, "B T"]) -> Float[Tensor, "P D"]:
        """Sine and cosine of each position at each frequency."""
        return self.waves(positions)

    def waves(self, positions: Int[Tensor, " P"]) -> Float[Tensor, "P D"]:
        """Sine and cosine of each number at each frequency."""
        angles = positions.unsqueeze(1).to(self.frequencies.dtype) * self.frequencies
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, : self.dim]
