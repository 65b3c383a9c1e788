"""Token ids to the first layer's inputs: lookup, scale, position, normalisation, dropout."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.layers.dropout import Dropout
from seq2seq.position.base import Position
from seq2seq.types import EOS, PAD, UNK


def embedding_table(vocab_size: int, size: int) -> nn.Embedding:
    """A table [V E] drawn from N(0, 1/E), so that it can also be the output weights; the row of PAD is zero."""
    table = nn.Embedding(vocab_size, size, padding_idx=PAD)
    nn.init.normal_(table.weight, std=size**-0.5)
    with torch.no_grad():
        table.weight[PAD].zero_()
    return table


class InputEmbedding(nn.Module):
    """dropout(norm(scale * table[token] + position)), the table through a linear map if its width is not the layer's.

    `norm` is a layer normalisation, as in BERT (Devlin et al. 2019, arXiv:1810.04805) and BART (Lewis et al. 2020,
    arXiv:1910.13461), or None. `word_dropout` replaces that share of the tokens by <unk> in training (Gal and
    Ghahramani 2016, arXiv:1512.05287, drop whole words); end symbols stay. Padding has the embedding zero in training.
    Shapes: tokens [B T] -> [B T D].
    """

    def __init__(
        self,
        *,
        table: nn.Embedding,
        width: int,
        scale: float,
        dropout: float,
        word_dropout: float,
        position: Position | None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.table = table
        self.scale = scale
        self.width = width
        self.word_dropout = word_dropout
        self.position = position
        self.adapt = nn.Identity() if table.embedding_dim == width else nn.Linear(table.embedding_dim, width)
        self.norm = nn.Identity() if norm is None else norm
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Inputs for whole rows."""
        return self._embed(tokens, torch.arange(tokens.shape[1], device=tokens.device))

    def step(self, tokens: Int[Tensor, "B K"], position: int) -> Float[Tensor, "B K D"]:
        """Inputs for K hypotheses at the same position."""
        return self._embed(tokens, torch.full((1,), position, device=tokens.device))

    def _embed(self, tokens: Int[Tensor, "B T"], positions: Int[Tensor, " P"]) -> Float[Tensor, "B T D"]:
        position = None if self.position is None else self.position.embed(positions, tokens)  # no token dropped yet
        if self.training and self.word_dropout:
            dropped = (torch.rand(tokens.shape, device=tokens.device) < self.word_dropout) & (tokens > EOS)
            tokens = tokens.masked_fill(dropped, UNK)
        states = self.table(tokens) * self.scale
        if self.training:  # a table that is tied to the output layer learns a row for padding
            states = states.masked_fill((tokens == PAD).unsqueeze(-1), 0)
        states = self.adapt(states)
        if position is not None:
            states = states + position.to(states.dtype)
        return self.dropout(self.norm(states))
