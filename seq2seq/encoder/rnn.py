"""Recurrent encoder: Bahdanau et al. (2015), arXiv:1409.0473, section 3.2; stacked as in Luong et al. (2015)."""

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.encoder.base import Encoder
from seq2seq.layers.dropout import Dropout
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.modules import Layers
from seq2seq.layers.rnn import Cell, RecurrentLayer, reorder, reversal
from seq2seq.types import Memory


class RnnEncoder(Encoder):
    """LSTM or GRU layers in one direction or both, with residual connections from the second layer on if `residual`.

    `hidden_size` is the width of one direction: M = 2 * hidden_size if bidirectional. The summary joins the last state
    of each direction of the top layer. Rows are padded; the backward direction reads each row's real tokens in reverse.

    With `mask_end`, attention does not see the end symbol, unless the source has no other token. Its state summarises
    the sentence; with some seeds attention would learn to attend to it alone, at every step.
    """

    recurrent: ClassVar[bool] = True
    state_size: ClassVar[float] = 0.25

    def __init__(
        self,
        *,
        embedding: InputEmbedding,
        cell: Cell,
        hidden_size: int,
        layers: int,
        bidirectional: bool,
        residual: bool,
        dropout: float,
        recurrent_dropout: float,
        mask_end: bool,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.mask_end = mask_end
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.residual = residual
        self.dropout = Dropout(dropout)
        memory_dim = self.output_dim(hidden_size=hidden_size, bidirectional=bidirectional)

        def layer(number: int) -> RecurrentLayer:
            width = memory_dim if number else embedding.width
            return RecurrentLayer(cell=cell, input_dim=width, hidden_size=hidden_size, weight_dropout=recurrent_dropout)

        def direction() -> Layers[RecurrentLayer]:
            return Layers(map(layer, range(layers)))

        self.forwards = direction()
        self.backwards = direction() if bidirectional else None

    @classmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """No requirement."""
        return embedding_size

    @classmethod
    def output_dim(cls, **arguments: Any) -> int:
        """One width per direction."""
        return arguments["hidden_size"] * (2 if arguments["bidirectional"] else 1)

    def forward(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Encode the source, layer by layer."""
        lengths = mask.sum(1)
        backward_order = reversal(lengths, source.shape[1])
        states = self.embedding(source)
        for number in range(len(self.forwards)):
            outputs = self._layer(number, states if number == 0 else self.dropout(states), backward_order)
            states = states + outputs if self.residual and number > 0 else outputs
        seen = mask & ~is_end(lengths, source.shape[1]) if self.mask_end else mask
        return Memory(states, seen, source, self._summary(states, lengths))

    def _layer(
        self, number: int, inputs: Float[Tensor, "B S I"], backward_order: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B S M"]:
        outputs = self.forwards[number](inputs)
        if self.backwards is None:
            return outputs
        reversed_outputs = self.backwards[number](reorder(inputs, backward_order))
        return torch.cat((outputs, reorder(reversed_outputs, backward_order)), -1)

    def _summary(self, states: Float[Tensor, "B S M"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B M"]:
        """The last state of each direction."""
        last = (lengths - 1)[:, None, None].expand(-1, 1, self.hidden_size)
        ends = states[..., : self.hidden_size].gather(1, last).squeeze(1)
        return ends if self.backwards is None else torch.cat((ends, states[:, 0, self.hidden_size :]), -1)


def is_end(lengths: Int[Tensor, " B"], width: int) -> Bool[Tensor, "B S"]:
    """True at the end symbol of every sentence that has other tokens."""
    positions = torch.arange(width, device=lengths.device)
    return (positions == lengths[:, None] - 1) & (lengths[:, None] > 1)
