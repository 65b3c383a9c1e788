"""Sinusoidal positions of two dimensions, the line and the place in it: Parmar et al. (2018), arXiv:1802.05751, section
3.1, where they are the row and the column of a picture."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.position.base import Position
from seq2seq.position.sinusoidal import SinusoidalPosition


class Sinusoidal2dPosition(Position):
    """p[t] = [q[line of t]; q[place of t in its line]] with q the sinusoidal positions of half the width D.

    Lines end with the piece `separator` and count from 0, like the places in them; the separator is the last token of
    its line. In a decoder (`symbols` is None) positions are the plain sinusoidal ones. Shapes: [B T] -> [B T D].

    `recurrent` says whether LSTM and GRU parts use it too; they know the order anyway.
    """

    wired: ClassVar[frozenset[str]] = Position.wired | {"symbols"}

    def __init__(
        self, *, dim: int, heads: int, symbols: Mapping[str, int] | None, separator: str, recurrent: bool
    ) -> None:
        super().__init__(dim=dim, heads=heads)
        if problem := self.problem(dim=dim, heads=heads, symbols=symbols, separator=separator):
            raise ValueError(problem)
        self.recurrent = recurrent
        self.separator = None if symbols is None else symbols[separator]
        self.sinusoidal = SinusoidalPosition(dim=dim // (1 if symbols is None else 2), heads=1, recurrent=recurrent)

    @classmethod
    def problem(cls, *, dim: int, heads: int, **arguments: Any) -> str | None:
        """Two halves, and a separator that is one piece in every text."""
        symbols, separator = arguments["symbols"], arguments["separator"]
        if symbols is None:
            return None
        if dim % 2:
            return f"position=sinusoidal_2d halves the width of the encoder's inputs: it must be even, not {dim}"
        if separator not in symbols:
            return (
                f"position.separator={separator!r} must be a piece that is never split: the line break, written "
                '"\\n", or one of tokenizer.symbols'
            )
        return None

    def embed(self, positions: Int[Tensor, " P"], tokens: Int[Tensor, "B T"]) -> Float[Tensor, "*#B P D"]:
        """The vectors of each token's line and of its place in the line."""
        if self.separator is None:
            return self.sinusoidal.embed(positions, tokens)
        lines, places = lines_and_places(tokens == self.separator)
        numbers = self.sinusoidal.waves(torch.arange(tokens.shape[1], device=tokens.device))
        return torch.cat((numbers[lines], numbers[places]), -1)


def lines_and_places(ends: Bool[Tensor, "B T"]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Each token's line and its place there, both from 0, where `ends` is True for the last token of a line."""
    after = ends.roll(1, 1)  # the first token of each line but the first
    after[:, :1] = False
    positions = torch.arange(ends.shape[1], device=ends.device)
    return after.cumsum(1), positions - (after * positions).cummax(1).values
