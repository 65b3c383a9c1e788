"""No positions: a model sees its tokens as a bag, except where recurrence or a causal mask tells their order."""

from seq2seq.position.base import Position


class NoPosition(Position):
    """Adds nothing anywhere. `recurrent` is there because the other positions that can be added to inputs have it."""

    def __init__(self, *, dim: int, heads: int, recurrent: bool) -> None:
        super().__init__(dim=dim, heads=heads)
        self.recurrent = recurrent
