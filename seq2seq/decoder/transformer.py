"""Transformer decoder: Vaswani et al. (2017), arXiv:1706.03762, section 3.1."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

from jaxtyping import Int
from torch import Tensor

from seq2seq.attention.base import AttentionState
from seq2seq.decoder.layered import DecoderArguments, LayeredDecoder
from seq2seq.layers.scaled_dot import heads_problem
from seq2seq.self_attention.ancestry import Ancestry
from seq2seq.self_attention.base import Scope, SelfAttention, SlotCache
from seq2seq.types import PAD, Decoded, Memory, State, Weights, hypothesis_part

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


class TransformerDecoder(LayeredDecoder):
    """Layers of causal self-attention, cross-attention and feed-forward; D = hidden_size.

    `self_attention` makes one per layer; `embedding.position` may affect it.
    """

    wired: ClassVar[frozenset[str]] = LayeredDecoder.wired | {"self_attention"}

    def __init__(
        self,
        *,
        self_attention: Callable[..., SelfAttention],
        heads: int,
        attention_dropout: float,
        **arguments: Unpack[DecoderArguments],
    ) -> None:
        super().__init__(
            lambda: self_attention(dim=arguments["hidden_size"], heads=heads, dropout=attention_dropout), **arguments
        )

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """The heads must divide the width, too."""
        heads = heads_problem("decoder.heads", arguments["heads"], "decoder.hidden_size", arguments["hidden_size"])
        return heads or super().problem(**arguments)

    def start(self, memory: Memory) -> TransformerState:
        """Empty caches; each layer's attention prepares the memory."""
        sentences = memory.states.shape[0]
        return TransformerState(
            tuple(layer.self_attention.empty_cache(sentences) for layer in self.in_order()),
            self.attending(memory),
            Ancestry.empty(sentences, memory.states.device),
        )

    def whole(self, target_in: Int[Tensor, "B T"]) -> Scope:
        """Each position attends to itself and to earlier ones."""
        return self.layers[0].self_attention.whole(target_in != PAD, self.embedding.position, causal=True)

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
