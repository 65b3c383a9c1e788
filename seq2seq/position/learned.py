"""Learned absolute positions: Gehring et al. (2017), arXiv:1705.03122, section 3.1."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.position.base import Position


class LearnedPosition(Position):
    """One learned vector per position; positions from `max_length` on share the last. Shapes: [P] -> [P D].

    `recurrent` says whether LSTM and GRU parts use it too; they know the order anyway.
    """

    def __init__(self, *, dim: int, heads: int, max_length: int, recurrent: bool) -> None:
        super().__init__(dim=dim, heads=heads)
        self.recurrent = recurrent
        self.table = nn.Embedding(max_length, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, positions: Int[Tensor, " P"], tokens: Int[Tensor, "B T"]) -> Float[Tensor, "P D"]:
        """The vectors of these positions."""
        return self.table(positions.clamp(max=self.table.num_embeddings - 1))
