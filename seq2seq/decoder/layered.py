"""The layers of a Transformer decoder: Vaswani et al. (2017), arXiv:1706.03762, section 3.1, with any attention as
cross-attention, and any block that reads the earlier positions."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Protocol, Unpack, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.attention.base import Attention, AttentionState
from seq2seq.decoder.base import Decoder
from seq2seq.feed_forward.base import FeedForward
from seq2seq.layers.deep_norm import UNSCALED, decoder_scales, shrink
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.layer_arguments import LAYER_PARTS, LayerArguments, final_norm, network, residual
from seq2seq.layers.layer_drop import LayerDrop
from seq2seq.layers.modules import Layers
from seq2seq.layers.residual import Residual
from seq2seq.layers.shared_layers import distinct_problem, in_cycle
from seq2seq.types import Attended, Capability, Decoded, Memory, Weights


@runtime_checkable
class PastBlock(Protocol):
    """What a layer does first: each position reads itself and the earlier ones. Shapes: [B T D] -> [B T D].

    `scope` is what all layers share in one pass, `past` what the block has stored in earlier steps.
    """

    def value_weights(self) -> list[Tensor]:
        """The matrices of values and of the output, which `norm: deep` makes smaller at the start."""

    def __call__(self, states: Float[Tensor, "B T D"], scope: Any) -> Float[Tensor, "B T D"]:
        """All positions at once."""

    def step(self, states: Float[Tensor, "B K D"], past: Any, scope: Any) -> tuple[Float[Tensor, "B K D"], Any]:
        """One position of K hypotheses, and what is stored for the next one."""


class DecoderArguments(LayerArguments):
    """The arguments of every LayeredDecoder; `attention` makes one per layer."""

    embedding: InputEmbedding
    attention: Callable[..., Attention]
    memory_dim: int


class LayeredDecoder(Decoder):
    """Layers of three blocks: one that reads earlier positions (from `make_block`), cross-attention, feed-forward; D =
    hidden_size."""

    wired: ClassVar[frozenset[str]] = Decoder.wired | LAYER_PARTS
    recurrent: ClassVar[bool] = False

    def __init__(self, make_block: Callable[[], PastBlock], **arguments: Unpack[DecoderArguments]) -> None:
        super().__init__()
        self.embedding = arguments["embedding"]
        self.depth = arguments["layers"]
        self.layer_drop = LayerDrop(arguments["layer_drop"])
        dim, memory_dim = arguments["hidden_size"], arguments["memory_dim"]
        scales = decoder_scales(self.depth) if arguments["norm"] == "deep" else UNSCALED
        self.layers = Layers(
            DecoderLayer(
                attention=arguments["attention"](query_dim=dim, memory_dim=memory_dim),
                self_attention=make_block(),
                dim=dim,
                feed_forward=partial(network, arguments),
                residual=partial(residual, arguments, scales.alpha),
            )
            for _ in range(arguments["distinct_layers"] or self.depth)
        )
        for layer in self.layers:
            shrink(layer.value_weights(), scales.beta)
        self.context_dim = self.layers[-1].attention.context_dim
        self.final_norm = final_norm(arguments)

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
        """Shared layers are no more than all."""
        return distinct_problem("decoder", arguments["distinct_layers"], arguments["layers"])

    def attending(self, memory: Memory) -> tuple[AttentionState, ...]:
        """Each layer's attention, with the memory prepared once for each set of weights."""
        return tuple(in_cycle([layer.attention.start(memory) for layer in self.layers], self.depth))

    @abstractmethod
    def whole(self, target_in: Int[Tensor, "B T"]) -> Any:
        """What the layers share when all positions run together."""

    def forward(self, target_in: Int[Tensor, "B T"], state: Any, weights: Weights = Weights.NONE) -> Decoded:
        """All positions together, each of which reads itself and earlier ones."""
        inputs = states = self.embedding(target_in)
        scope = self.whole(target_in)
        attended = []
        for number, (layer, memory) in enumerate(zip(self.in_order(), state.attention, strict=True)):
            after, answer = layer(states, scope, memory, weights.of(number, self.depth))
            states = self.layer_drop(states, after)
            attended.append(answer)
        return Decoded(self.final_norm(states), inputs, tuple(attended))

    def step_within(
        self,
        inputs: Float[Tensor, "B K D"],
        scope: Any,
        pasts: tuple[Any, ...],
        memories: tuple[AttentionState, ...],
        weights: Weights,
    ) -> tuple[Decoded, tuple[Any, ...], tuple[AttentionState, ...]]:
        """One position of K hypotheses: features, and what each layer's first block and its attention store."""
        states = inputs
        new_pasts, new_memories, attended = [], [], []
        for number, layer in enumerate(self.in_order()):
            need_weights = weights.of(number, self.depth)
            states, past, answer, memory = layer.step(states, pasts[number], scope, memories[number], need_weights)
            new_pasts.append(past)
            new_memories.append(memory)
            attended.append(answer)
        return Decoded(self.final_norm(states), inputs, tuple(attended)), tuple(new_pasts), tuple(new_memories)

    def in_order(self) -> list["DecoderLayer"]:
        """The layers as they run."""
        return in_cycle(list(self.layers), self.depth)


class DecoderLayer(nn.Module):
    """A block that reads earlier positions, cross-attention, feed-forward. Shapes: [B T D] -> [B T D].

    The first block is `self_attention` whatever its kind: the parameters of all decoders have the same names.
    """

    def __init__(
        self,
        *,
        attention: Attention,
        self_attention: PastBlock,
        dim: int,
        feed_forward: Callable[[], FeedForward],
        residual: Callable[[], Residual],
    ) -> None:
        super().__init__()
        self.self_attention: Any = self_attention
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
        self, states: Float[Tensor, "B T D"], scope: Any, memory: AttentionState, need_weights: bool
    ) -> tuple[Float[Tensor, "B T D"], Attended]:
        """All positions at once."""
        states = self.self_attention_residual(states, lambda normed: self.self_attention(normed, scope))
        states, attended, _ = self._attend(states, memory, self.attention, need_weights)
        return self.feed_forward_residual(states, self.feed_forward), attended

    def step(
        self, states: Float[Tensor, "B K D"], past: Any, scope: Any, memory: AttentionState, need_weights: bool
    ) -> tuple[Float[Tensor, "B K D"], Any, Attended, AttentionState]:
        """One position of K hypotheses."""
        stored = past

        def read(normed: Tensor) -> Tensor:
            nonlocal stored
            found, stored = self.self_attention.step(normed, past, scope)
            return found

        states = self.self_attention_residual(states, read)
        states, attended, memory = self._attend(states, memory, self.attention.step, need_weights)
        return self.feed_forward_residual(states, self.feed_forward), stored, attended, memory

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
