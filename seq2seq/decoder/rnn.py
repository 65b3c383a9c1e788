"""Recurrent decoder: Bahdanau et al. (2015), arXiv:1409.0473, attending before its cell; Luong et al. (2015),
arXiv:1508.04025, after it, with input feeding (section 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import Attention, AttentionState
from seq2seq.decoder.base import Decoder
from seq2seq.layers.dropout import Dropout
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.rnn import Cell, CellState, LoopWeights, RecurrentStack
from seq2seq.types import Attended, Decoded, Memory, State, Weights, hypothesis_part


@dataclass(frozen=True)
class RnnState(State):
    """Each layer's cell state [B K D], the previous features for input feeding, and the attention's state."""

    cells: tuple[CellState, ...] = hypothesis_part()
    fed: Float[Tensor, "B K D"] | None = hypothesis_part()
    attention: AttentionState = hypothesis_part()
    position: int = 0
    weights: list[LoopWeights] | None = None  # of the cells, prepared at the first step


class RnnDecoder(Decoder):
    """LSTM or GRU layers that attend to the memory at every step.

    - attend: before: c_t = attention(s_t-1); s_t = f([y_t-1; c_t], s_t-1); features = tanh(W [s_t; c_t; y_t-1])
    - attend: after: s_t = f(y_t-1, s_t-1); c_t = attention(s_t); features = tanh(W [s_t; c_t])

    With input feeding, the previous features are part of the cell's input. Without it, and with attend: after, all
    steps run in one kernel. The first state is tanh(W summary). Shapes: target_in [B T] -> features [B T D], D =
    hidden_size.
    """

    recurrent: ClassVar[bool] = True
    query_size: ClassVar[float] = 0.25
    learning_rate: ClassVar[float] = 4e-3

    def __init__(
        self,
        *,
        embedding: InputEmbedding,
        attention: Callable[..., Attention],
        memory_dim: int,
        cell: Cell,
        hidden_size: int,
        layers: int,
        attend: Literal["before", "after"],
        input_feeding: bool,
        residual: bool,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.hidden_size = hidden_size
        self.attend_before = attend == "before"
        self.input_feeding = input_feeding
        self.attention = attention(query_dim=hidden_size, memory_dim=memory_dim)
        context_dim = self.context_dim = self.attention.context_dim
        extra = (context_dim if self.attend_before else 0) + (hidden_size if input_feeding else 0)
        self.stack = RecurrentStack(
            cell=cell,
            input_dim=embedding.width + extra,
            hidden_size=hidden_size,
            layers=layers,
            dropout=dropout,
            weight_dropout=recurrent_dropout,
            residual=residual,
        )
        self.bridge = nn.Linear(memory_dim, layers * self.stack.state_parts * hidden_size)
        self.readout = nn.Linear(hidden_size + context_dim, hidden_size)
        self.embedding_readout = nn.Linear(embedding.width, hidden_size, bias=False) if self.attend_before else None
        self.dropout = Dropout(dropout)

    def stacked_rows(self) -> dict[str, list[int]]:
        """One matrix for each part of the first state."""
        return {"bridge.weight": [self.hidden_size] * (self.bridge.out_features // self.hidden_size)}

    @classmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """No requirement."""
        return embedding_size

    @classmethod
    def query_dim(cls, **arguments: Any) -> int:
        """The width of its top layer's state."""
        return arguments["hidden_size"]

    @classmethod
    def feature_dim(cls, **arguments: Any) -> int:
        """The readout's width."""
        return arguments["hidden_size"]

    def start(self, memory: Memory) -> RnnState:
        """The bridge makes each layer's first state from the encoder's summary."""
        first = torch.tanh(self.bridge(memory.summary)).unsqueeze(1)
        parts = first.to(self.bridge.weight.dtype).split(self.hidden_size, -1)
        per_layer = self.stack.state_parts
        cells = tuple(parts[i : i + per_layer] for i in range(0, len(parts), per_layer))
        fed = torch.zeros_like(parts[0]) if self.input_feeding else None
        return RnnState(cells, fed, self.attention.start(memory))

    def forward(self, target_in: Int[Tensor, "B T"], state: RnnState, weights: Weights = Weights.NONE) -> Decoded:
        """All positions: in one kernel if possible, else by a loop over the recurrent part."""
        embedded, need_weights = self.embedding(target_in), weights > Weights.NONE
        if self.attend_before or self.input_feeding:
            return self._loop(embedded, state, need_weights)
        outputs = self.stack(embedded, tuple(tuple(part.squeeze(1) for part in cell) for cell in state.cells))
        attended, _ = self.attention(outputs, state.attention, need_weights)
        return Decoded(self._features(outputs, attended, embedded), embedded, (attended,))

    def step(
        self, tokens: Int[Tensor, "B K"], state: RnnState, weights: Weights = Weights.NONE
    ) -> tuple[Decoded, RnnState]:
        """One position of K hypotheses."""
        embedded = self.embedding.step(tokens, state.position)
        gates = self.stack.layers[0].project(embedded)
        outputs, attended, state = self._advance(gates, state, weights > Weights.NONE)
        features = self._features(outputs, attended, embedded)
        return Decoded(features, embedded, (attended,)), replace(state, fed=features) if self.input_feeding else state

    def _loop(self, embedded: Float[Tensor, "B T E"], state: RnnState, need_weights: bool) -> Decoded:
        """Teacher forcing, step by step. The embeddings' part is one product before the loop; the features are one
        product after it, unless they are fed back."""
        gates = self.stack.layers[0].project(embedded)
        outputs: list[Tensor] = []
        attended: list[Attended] = []
        features: list[Tensor] = []
        # Split once: the gradient of each of T slices would be a tensor of the full length.
        for gate, token in zip(gates.split(1, 1), embedded.split(1, 1), strict=True):
            output, answer, state = self._advance(gate, state, need_weights)
            outputs.append(output)
            attended.append(answer)
            if self.input_feeding:
                features.append(self._features(output, answer, token))
                state = replace(state, fed=features[-1])
        together = Attended.join(attended)
        if self.input_feeding:
            return Decoded(torch.cat(features, 1), embedded, (together,))
        return Decoded(self._features(torch.cat(outputs, 1), together, embedded), embedded, (together,))

    def _advance(
        self, gates: Float[Tensor, "B K G"], state: RnnState, need_weights: bool
    ) -> tuple[Float[Tensor, "B K D"], Attended, RnnState]:
        """Attend and run the cells, in the order of `attend`; the new state still has the old features."""
        sentences, beams, _ = gates.shape
        weights = state.weights or self.stack.loop_weights(self.embedding.width)
        memory, attended = state.attention, None
        more = [state.fed] if state.fed is not None else []
        if self.attend_before:
            attended, memory = self.attention.step(state.cells[-1][0], memory, need_weights)
            if self.context_dim:  # ONNX has no reshape of tensors without elements
                more.insert(0, attended.context)
        inputs = torch.cat(more, -1).flatten(0, 1) if more else None
        flat = tuple(tuple(part.flatten(0, 1) for part in cell) for cell in state.cells)
        outputs, flat = self.stack.step(gates.flatten(0, 1), inputs, flat, weights)
        cells = tuple(tuple(part.unflatten(0, (sentences, beams)) for part in cell) for cell in flat)
        outputs = outputs.unflatten(0, (sentences, beams))
        if attended is None:
            attended, memory = self.attention.step(outputs, memory, need_weights)
        return outputs, attended, RnnState(cells, state.fed, memory, state.position + 1, weights)

    def _features(
        self, outputs: Float[Tensor, "B T D"], attended: Attended, embedded: Float[Tensor, "B T E"]
    ) -> Float[Tensor, "B T D"]:
        """tanh(W [s; c]), or tanh(W [s; c; y]) with attention before the cell: Bahdanau's deep output, but with s_t and
        tanh instead of maxout."""
        mixed = self.readout(torch.cat((outputs, attended.context.to(outputs.dtype)), -1))
        if self.embedding_readout is not None:
            mixed = mixed + self.embedding_readout(embedded)
        return self.dropout(torch.tanh(mixed))
