"""What every position encoding offers."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.types import Component


class Position(nn.Module, Component):
    """Information about token order, added in one of three places: the inputs (`embed`), queries and keys of
    self-attention (`rotate`), its scores (`bias`). A kind overrides one of them; the others add nothing.

    `dim` is the width of the inputs, `heads` are those of the self-attention that reads them (1 if there is none): a
    head is dim / heads wide. Positions are counted from 0. A kind that reads tokens adds `symbols` to `wired`: by text
    the ids of the pieces that are never split, in the source; None in a decoder, which sees one token at a time.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim", "heads"})

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.heads = heads

    @classmethod
    def acts_in_attention(cls) -> bool:
        """Whether self-attention uses it, instead of the inputs."""
        return cls.rotate is not Position.rotate or cls.bias is not Position.bias

    @classmethod
    def problem(cls, *, dim: int, heads: int, **arguments: Any) -> str | None:
        """Why these widths and arguments cannot work together, or None."""
        return None

    def embed(self, positions: Int[Tensor, " P"], tokens: Int[Tensor, "B T"]) -> Float[Tensor, "*#B #P #D"]:
        """Vectors to add to the token embeddings: those of whole rows (P = T), or of K = T hypotheses at one position
        (P = 1)."""
        return torch.zeros(1, 1, device=positions.device)

    def rotate(self, states: Float[Tensor, "B H T d"], positions: Int[Tensor, " T"]) -> Float[Tensor, "B H T d"]:
        """Queries or keys, rotated by their position."""
        return states

    def bias(self, queries: Int[Tensor, " T"], keys: Int[Tensor, " P"]) -> Float[Tensor, "H T P"] | None:
        """The bias of the scaled scores of queries and keys at these positions: a function of key - query only, so that
        windows of a sequence can share it."""
        return None
