"""Attention with linear biases: Press et al. (2022), arXiv:2108.12409, section 3."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.position.base import Position


class AlibiPosition(Position):
    """score(q, k) = q . k / sqrt(d) - m_h |t_q - t_k|, with a fixed slope m_h per head: nothing is learned, and nothing
    is added to the inputs.

    The paper's models are causal, where the distance is never negative. In an encoder the same slope is used in both
    directions: a head cannot distinguish left from right. Shapes: [T], [P] -> [H T P].
    """

    slopes: Tensor

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__(dim=dim, heads=heads)
        self.register_buffer("slopes", torch.tensor(slopes(heads)), persistent=False)

    def bias(self, queries: Int[Tensor, " T"], keys: Int[Tensor, " P"]) -> Float[Tensor, "H T P"]:
        """A penalty in proportion to the distance."""
        distance = (queries.unsqueeze(1) - keys).abs()
        return -self.slopes[:, None, None] * distance


def slopes(heads: int) -> list[float]:
    """2^(-8i/n) for i = 1..n where the number of heads n is a power of 2 (section 3).

    For others, as in the authors' program, the slopes of the next lower power of 2, then every other one of the next
    higher, beginning with the first.
    """
    power = 2 ** (heads.bit_length() - 1)
    regular = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    return regular + [2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]
