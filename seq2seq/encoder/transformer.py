"""Transformer encoder: Vaswani et al. (2017), arXiv:1706.03762, section 3.1."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Unpack

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.encoder.base import Encoder
from seq2seq.feed_forward.base import FeedForward
from seq2seq.layers.deep_norm import UNSCALED, encoder_scales, shrink
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.layer_arguments import LAYER_PARTS, LayerArguments, final_norm, network, residual
from seq2seq.layers.layer_drop import LayerDrop
from seq2seq.layers.modules import Layers
from seq2seq.layers.residual import Residual
from seq2seq.layers.scaled_dot import heads_problem
from seq2seq.layers.shared_layers import distinct_problem, in_cycle
from seq2seq.self_attention.base import Scope, SelfAttention
from seq2seq.types import Memory


class TransformerEncoder(Encoder):
    """Layers of self-attention and feed-forward, each in a residual connection; M = hidden_size.

    `self_attention` makes one per layer; `embedding.position` may affect it. `norm: deep` depends on `decoder_layers`,
    the depth of a Transformer decoder (None: it is recurrent). The summary is the mean state.
    """

    wired: ClassVar[frozenset[str]] = Encoder.wired | LAYER_PARTS | {"self_attention", "decoder_layers"}
    recurrent: ClassVar[bool] = False

    def __init__(
        self,
        *,
        embedding: InputEmbedding,
        self_attention: Callable[..., SelfAttention],
        decoder_layers: int | None,
        heads: int,
        attention_dropout: float,
        **arguments: Unpack[LayerArguments],
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.depth = arguments["layers"]
        self.layer_drop = LayerDrop(arguments["layer_drop"])
        scales = encoder_scales(self.depth, decoder_layers) if arguments["norm"] == "deep" else UNSCALED
        self.layers = Layers(
            TransformerEncoderLayer(
                self_attention=self_attention(dim=arguments["hidden_size"], heads=heads, dropout=attention_dropout),
                feed_forward=partial(network, arguments),
                residual=partial(residual, arguments, scales.alpha),
            )
            for _ in range(arguments["distinct_layers"] or self.depth)
        )
        for layer in self.layers:
            shrink(layer.value_weights(), scales.beta)
        self.final_norm = final_norm(arguments)

    @classmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """The layers' width, as residual connections need."""
        return arguments["hidden_size"]

    @classmethod
    def output_dim(cls, **arguments: Any) -> int:
        """The layers' width."""
        return arguments["hidden_size"]

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """The heads must divide the width, and shared layers are no more than all."""
        heads = heads_problem("encoder.heads", arguments["heads"], "encoder.hidden_size", arguments["hidden_size"])
        return heads or distinct_problem("encoder", arguments["distinct_layers"], arguments["layers"])

    def forward(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Read the source, layer by layer."""
        states = self.embedding(source)
        scope = self.layers[0].self_attention.whole(mask, self.embedding.position, causal=False)
        for layer in in_cycle(list(self.layers), self.depth):
            states = self.layer_drop(states, layer(states, scope))
        states = self.final_norm(states)
        real = mask.unsqueeze(-1).to(states.dtype)
        return Memory(states, mask, source, (states * real).sum(1) / real.sum(1))


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then feed-forward. Shapes: [B S D] -> [B S D]."""

    def __init__(
        self,
        *,
        self_attention: SelfAttention,
        feed_forward: Callable[[], FeedForward],
        residual: Callable[[], Residual],
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.feed_forward = feed_forward()
        self.self_attention_residual = residual()
        self.feed_forward_residual = residual()

    def value_weights(self) -> list[Tensor]:
        """The matrices that the values of both blocks pass."""
        return [*self.self_attention.value_weights(), *self.feed_forward.value_weights()]

    def forward(self, states: Float[Tensor, "B S D"], scope: Scope) -> Float[Tensor, "B S D"]:
        """Both blocks."""
        states = self.self_attention_residual(states, lambda normed: self.self_attention(normed, scope))
        return self.feed_forward_residual(states, self.feed_forward)
