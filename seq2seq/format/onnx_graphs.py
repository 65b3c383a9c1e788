"""The modules that become ONNX graphs: the encoder with everything that depends on the source alone, and one step of
the decoder for one hypothesis per sentence."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import AttentionState
from seq2seq.decoder.transformer import TransformerDecoder
from seq2seq.encoder.rnn import RnnEncoder
from seq2seq.format.onnx_state import Layout, tensors_of
from seq2seq.layers.rnn import CellState, RecurrentLayer
from seq2seq.model.model import Model
from seq2seq.self_attention.base import Scope
from seq2seq.self_attention.full import FullSelfAttention, SelfAttentionCache
from seq2seq.types import PAD, Decoded, Memory, State, Weights, hypothesis_part


class EncoderGraph(nn.Module):
    """Source ids [B S] -> the tensors of the first state that have these names."""

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = with_onnx_layers(model), names

    def forward(self, inputs: tuple[Tensor]) -> tuple[Tensor, ...]:
        """Encode, and start the decoder."""
        (source,) = inputs
        found = tensors_of(self.model.start(self.model.encode(source, source != PAD)))
        return tuple(found[name] for name in self.names)


class StepGraph(nn.Module):
    """The last token [B], the number of steps before [] and the state -> log-probabilities [B V] and what changed."""

    def __init__(self, model: Model, layout: Layout) -> None:
        super().__init__()
        self.model, self.layout = model, layout

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step."""
        token, position, *tensors = inputs
        state = self.layout.filled(dict(zip(self.layout.examples, tensors, strict=True)), position.item())
        log_probs, _, state = self.model.step(token.unsqueeze(1), state)
        found = tensors_of(state)
        return (log_probs.squeeze(1), *(found[name] for name in self.layout.changing))


def for_one_hypothesis(model: Model) -> Model:
    """A copy of the model whose decoder has no beams: its state is only tensors."""
    copy = deepcopy(model)
    if isinstance(copy.decoder, TransformerDecoder):
        copy.decoder = OneHypothesis(copy.decoder)  # type: ignore[assignment]
    return copy


@dataclass(frozen=True)
class Past(State):
    """The keys and values of all earlier steps, and the state of the attention, per layer."""

    caches: tuple[SelfAttentionCache, ...] = hypothesis_part()
    attention: tuple[AttentionState, ...] = hypothesis_part()


class OneHypothesis(nn.Module):
    """A Transformer decoder with one hypothesis per sentence: every slot of its caches is in the past of that one, so
    there is no ancestry."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def start(self, memory: Memory) -> Past:
        """The state before the first token."""
        state = self.decoder.start(memory)
        return Past(state.caches, state.attention)  # type: ignore[arg-type]

    def step(self, tokens: Int[Tensor, "B 1"], state: Past, weights: Weights = Weights.NONE) -> tuple[Decoded, Past]:
        """One position; the number of steps before is the length of the caches."""
        steps, embedding = state.caches[0].keys.shape[2], self.decoder.embedding
        positions = torch.arange(steps + 1, device=tokens.device)
        attention: FullSelfAttention = self.decoder.layers[0].self_attention
        reads = attention.reads(positions[-1:], positions)
        mask = torch.ones_like(positions[None], dtype=torch.bool) if reads is None else reads
        scope = Scope.of(mask[None, None], embedding.position, positions[-1:], positions)
        memories = tuple(replace(memory, position=steps) for memory in state.attention)
        inputs = embedding.step(tokens, steps)
        decoded, caches, memories = self.decoder.step_within(inputs, scope, state.caches, memories, weights)
        return decoded, Past(caches, memories)


def with_onnx_layers(model: Model) -> Model:
    """A copy of the model whose recurrent encoder runs ONNX operators; only an exporter can run it."""
    copy = deepcopy(model)
    if isinstance(copy.encoder, RnnEncoder):
        for layers in (copy.encoder.forwards, copy.encoder.backwards):
            for number, layer in enumerate(layers or []):
                layers[number] = OnnxRecurrentLayer(layer)  # type: ignore[index]
    return copy


class OnnxRecurrentLayer(nn.Module):
    """A RecurrentLayer from the zero state as one ONNX operator: torch.export would unroll the kernel's loop over the
    sequence. Shapes: [N T I] -> [N T D]."""

    input_weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.size = layer.hidden_size
        self.operator = "LSTM" if layer.is_lstm else "GRU"
        self.attributes: dict[str, Any] = {"hidden_size": self.size}
        if not layer.is_lstm:
            self.attributes["linear_before_reset"] = 1
        order = [0, 3, 1, 2] if layer.is_lstm else [1, 0, 2]  # torch: i f g o, r z n; ONNX: i o f g, z r n

        def gates(rows: Tensor) -> Tensor:
            parts = rows.detach().split(self.size)
            return torch.cat([parts[gate] for gate in order]).unsqueeze(0)

        kernel = layer.kernel
        self.register_buffer("input_weight", gates(kernel.weight_ih_l0))
        self.register_buffer("recurrent_weight", gates(kernel.weight_hh_l0))
        self.register_buffer("bias", torch.cat((gates(kernel.bias_ih_l0), gates(kernel.bias_hh_l0)), 1))

    def forward(self, inputs: Float[Tensor, "N T I"], state: CellState | None = None) -> Float[Tensor, "N T D"]:
        """All steps."""
        assert state is None
        time_first = inputs.transpose(0, 1)
        outputs = torch.onnx.ops.symbolic(
            self.operator,
            (time_first, self.input_weight, self.recurrent_weight, self.bias),
            self.attributes,
            dtype=inputs.dtype,
            shape=(time_first.shape[0], 1, time_first.shape[1], self.size),
        )
        return outputs.squeeze(1).transpose(0, 1)
