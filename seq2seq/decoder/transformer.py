"""Transformer decoder: Vaswani et al. (2017), arXiv:1706.03762, section 3.1, with any attention as cross-attention."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import Attention, AttentionState
from seq2seq.decoder.base import Decoder
from seq2seq.feed_forward.base import Activation, FeedForward
from seq2seq.layer_norm.base import LayerNormalization
from seq2seq.layers.deep_norm import UNSCALED, decoder_scales, shrink
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.layer_drop import LayerDrop
from seq2seq.layers.modules import Layers
from seq2seq.layers.residual import NormPlace, Residual
from seq2seq.layers.scaled_dot import heads_problem
from seq2seq.layers.shared_layers import distinct_problem, in_cycle
from seq2seq.self_attention.ancestry import Ancestry
from seq2seq.self_attention.base import Scope, SelfAttention, SlotCache
from seq2seq.types import PAD, Attended, Capability, Decoded, Memory, State, Weights, hypothesis_part

FORGETS_EVERY = 4  # steps


@dataclass(frozen=True)
class TransformerState(State):
    """One cache and one attention state per layer, and the ancestry shared by the caches."""

    caches: tuple[SlotCache, ...] = hypothesis_part()
    attention: tuple[AttentionState, ...] = hypothesis_part()
    ancestry: Ancestry = hypothesis_part()

    def forgetting(self, reach: int | None) -> "TransformerState":
        """Every few steps, without unused slots: each hypothesis attends `reach` steps back, None: all."""
        left = self.ancestry.living(reach) if self.ancestry.length % FORGETS_EVERY == 0 else None
        if left is None:
            return self
        ancestry, slots = left
        return replace(self, ancestry=ancestry, caches=tuple(cache.only(slots) for cache in self.caches))


class TransformerDecoder(Decoder):
    """Layers of causal self-attention, cross-attention and feed-forward; D = hidden_size.

    `self_attention`, `attention` and `feed_forward` make one per layer, `layer_norm` the normalisations;
    `embedding.position` may affect the first. `norm: pre` ends with another normalisation; `norm: post` is the paper's.
    `layers` layers run, with `distinct_layers` sets of weights (None: each has its own).
    """

    wired: ClassVar[frozenset[str]] = Decoder.wired | {"self_attention", "feed_forward", "layer_norm"}
    recurrent: ClassVar[bool] = False

    def __init__(
        self,
        *,
        embedding: InputEmbedding,
        attention: Callable[..., Attention],
        self_attention: Callable[..., SelfAttention],
        feed_forward: Callable[..., FeedForward],
        layer_norm: Callable[..., LayerNormalization],
        memory_dim: int,
        hidden_size: int,
        layers: int,
        distinct_layers: int | None,
        heads: int,
        inner_size: int,
        activation: Activation,
        norm: NormPlace,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
        layer_drop: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.depth = layers
        self.layer_drop = LayerDrop(layer_drop)
        scales = decoder_scales(layers) if norm == "deep" else UNSCALED
        self.layers = Layers(
            TransformerDecoderLayer(
                attention=attention(query_dim=hidden_size, memory_dim=memory_dim),
                self_attention=self_attention(dim=hidden_size, heads=heads, dropout=attention_dropout),
                dim=hidden_size,
                feed_forward=partial(
                    feed_forward,
                    dim=hidden_size,
                    inner_dim=inner_size,
                    activation=activation,
                    dropout=activation_dropout,
                ),
                residual=partial(
                    Residual, dim=hidden_size, norm=norm, alpha=scales.alpha, dropout=dropout, layer_norm=layer_norm
                ),
            )
            for _ in range(distinct_layers or layers)
        )
        for layer in self.layers:
            shrink(layer.value_weights(), scales.beta)
        self.context_dim = self.layers[-1].attention.context_dim
        self.final_norm = layer_norm(dim=hidden_size, for_products=True) if norm == "pre" else nn.Identity()

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """A context: without it the decoder would not see the source."""
        return frozenset({Capability.CONTEXT})

    @classmethod
    def input_dim(cls, embedding_size: int, **arguments: Any) -> int:
        """The layers' width, as residual connections need."""
        return arguments["hidden_size"]

    @classmethod
    def query_dim(cls, **arguments: Any) -> int:
        """The layers' width."""
        return arguments["hidden_size"]

    @classmethod
    def feature_dim(cls, **arguments: Any) -> int:
        """The layers' width."""
        return arguments["hidden_size"]

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """The heads must divide the width, and shared layers are no more than all."""
        heads = heads_problem("decoder.heads", arguments["heads"], "decoder.hidden_size", arguments["hidden_size"])
        return heads or distinct_problem("decoder", arguments["distinct_layers"], arguments["layers"])

    def start(self, memory: Memory) -> TransformerState:
        """Empty caches; each layer's attention prepares the memory."""
        sentences = memory.states.shape[0]
        return TransformerState(
            tuple(layer.self_attention.empty_cache(sentences) for layer in self._in_order()),
            tuple(in_cycle([layer.attention.start(memory) for layer in self.layers], self.depth)),
            Ancestry.empty(sentences, memory.states.device),
        )

    def forward(
        self, target_in: Int[Tensor, "B T"], state: TransformerState, weights: Weights = Weights.NONE
    ) -> Decoded:
        """All positions together, each attending to itself and earlier ones."""
        inputs = states = self.embedding(target_in)
        scope = self.layers[0].self_attention.whole(target_in != PAD, self.embedding.position, causal=True)
        attended = []
        for number, (layer, memory) in enumerate(zip(self._in_order(), state.attention, strict=True)):
            after, answer = layer(states, scope, memory, weights.of(number, self.depth))
            states = self.layer_drop(states, after)
            attended.append(answer)
        return Decoded(self.final_norm(states), inputs, tuple(attended))

    def step(
        self, tokens: Int[Tensor, "B K"], state: TransformerState, weights: Weights = Weights.NONE
    ) -> tuple[Decoded, TransformerState]:
        """One position of K hypotheses, which share the cache; their pasts are given by the ancestry."""
        inputs = self.embedding.step(tokens, state.ancestry.length)
        state = state.forgetting(self.layers[0].self_attention.reach)
        ancestry = state.ancestry.extend()
        scope = self.layers[0].self_attention.latest(ancestry, self.embedding.position)
        decoded, caches, memories = self.step_within(inputs, scope, state.caches, state.attention, weights)
        return decoded, TransformerState(caches, memories, ancestry)

    def step_within(
        self,
        inputs: Float[Tensor, "B K D"],
        scope: Scope,
        caches: tuple[SlotCache, ...],
        memories: tuple[AttentionState, ...],
        weights: Weights,
    ) -> tuple[Decoded, tuple[SlotCache, ...], tuple[AttentionState, ...]]:
        """One position of K hypotheses, each of which attends to its past in `scope`: features, and the new caches and
        attention states."""
        states = inputs
        new_caches, new_memories, attended = [], [], []
        for number, layer in enumerate(self._in_order()):
            need_weights = weights.of(number, self.depth)
            states, cache, answer, memory = layer.step(states, caches[number], scope, memories[number], need_weights)
            new_caches.append(cache)
            new_memories.append(memory)
            attended.append(answer)
        return Decoded(self.final_norm(states), inputs, tuple(attended)), tuple(new_caches), tuple(new_memories)

    def _in_order(self) -> list["TransformerDecoderLayer"]:
        """The layers as they run."""
        return in_cycle(list(self.layers), self.depth)


class TransformerDecoderLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward. Shapes: [B T D] -> [B T D]."""

    def __init__(
        self,
        *,
        attention: Attention,
        self_attention: SelfAttention,
        dim: int,
        feed_forward: Callable[[], FeedForward],
        residual: Callable[[], Residual],
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.attention = attention
        # A context of another width (of an attention without an output map) is projected to the layer's.
        self.adapt = nn.Identity() if attention.context_dim == dim else nn.Linear(attention.context_dim, dim)
        self.feed_forward = feed_forward()
        self.self_attention_residual = residual()
        self.attention_residual = residual()
        self.feed_forward_residual = residual()

    def value_weights(self) -> list[Tensor]:
        """The matrices that the values of the three blocks pass."""
        adapting = [self.adapt.weight] if isinstance(self.adapt, nn.Linear) else []
        blocks = (self.self_attention, self.attention, self.feed_forward)
        return [*(weight for block in blocks for weight in block.value_weights()), *adapting]

    def forward(
        self, states: Float[Tensor, "B T D"], scope: Scope, memory: AttentionState, need_weights: bool
    ) -> tuple[Float[Tensor, "B T D"], Attended]:
        """All positions at once."""
        states = self.self_attention_residual(states, lambda normed: self.self_attention(normed, scope))
        states, attended, _ = self._attend(states, memory, self.attention, need_weights)
        return self.feed_forward_residual(states, self.feed_forward), attended

    def step(
        self,
        states: Float[Tensor, "B K D"],
        cache: SlotCache,
        scope: Scope,
        memory: AttentionState,
        need_weights: bool,
    ) -> tuple[Float[Tensor, "B K D"], SlotCache, Attended, AttentionState]:
        """One position of K hypotheses."""
        written = cache

        def self_attend(normed: Tensor) -> Tensor:
            nonlocal written
            context, written = self.self_attention.step(normed, cache, scope)
            return context

        states = self.self_attention_residual(states, self_attend)
        states, attended, memory = self._attend(states, memory, self.attention.step, need_weights)
        return self.feed_forward_residual(states, self.feed_forward), written, attended, memory

    def _attend(
        self,
        states: Float[Tensor, "B T D"],
        memory: AttentionState,
        attention: Callable[..., tuple[Attended, AttentionState]],
        need_weights: bool,
    ) -> tuple[Float[Tensor, "B T D"], Attended, AttentionState]:
        """The cross-attention block, and its attention's other outputs."""
        said: list[tuple[Attended, AttentionState]] = []

        def block(normed: Tensor) -> Tensor:
            said.append(attention(normed, memory, need_weights))
            return self.adapt(said[-1][0].context)

        states = self.attention_residual(states, block)
        return states, *said[-1]
