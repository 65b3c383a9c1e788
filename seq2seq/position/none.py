"""No positions: the model does not know the order of tokens, except through recurrence or a causal mask."""

from seq2seq.position.base import Position


class NoPosition(Position):
    """Adds nothing anywhere. `recurrent` exists because the other positions that can be added to inputs have it."""

    def __init__(self, *, dim: int, heads: int, recurrent: bool) -> None:
        super().__init__(dim=dim, heads=heads)
        self.recurrent = recurrent
