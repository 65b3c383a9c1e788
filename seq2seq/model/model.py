"""The model: encoder, pooling, decoder with attention, generator."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.decoder.base import Decoder
from seq2seq.encoder.base import Encoder
from seq2seq.generator.base import Generator
from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.stepwise import Stepwise
from seq2seq.pooling.base import Pooling
from seq2seq.types import Batch, Decoded, Memory, State, Weights, hypothesis_part, source_part

T = TypeVar("T")


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the real target tokens of a batch, in nats; `loss` carries gradients."""

    loss: Float[Tensor, ""]
    nll: Float[Tensor, ""]


@dataclass(frozen=True)
class ModelState(State):
    """The decoder's state, and the source ids of the memory's states, None after pooling.

    With a `shortlist` its columns are used instead of target ids.
    """

    decoder: State = hypothesis_part()
    tokens: Int[Tensor, "B S"] | None = source_part()
    shortlist: Shortlist | None = source_part()


class Model(Stepwise):
    """log p(target | source). Losses use `encode`, `decode` and `generator`, search `encode`, `start` and `step`."""

    def __init__(self, *, encoder: Encoder, pooling: Pooling, decoder: Decoder, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.decoder = decoder
        self.generator = generator

    def forward(self, compute: Callable[..., T], *arguments: Any) -> T:
        """compute(model, *arguments): training enters here, so that what wraps the model sees each pass."""
        return compute(self, *arguments)

    def loss(self, batch: Batch, smoothing: float = 0.0) -> TokenLoss:
        """The loss of a batch, its targets given (teacher forcing)."""
        memory = self.encode(batch.source, batch.source_mask)
        decoded = self.decode(batch.target_in, memory)
        return TokenLoss(*self.generator.loss(decoded, memory.tokens, batch.target_out, batch.target_mask, smoothing))

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Encode the source and pool the memory."""
        return self.pooling(self.encoder(source, mask))

    def decode(self, target_in: Int[Tensor, "B T"], memory: Memory, weights: Weights = Weights.NONE) -> Decoded:
        """Features at every position of the given targets, with the attention weights of at least these layers."""
        return self.decoder(target_in, self.decoder.start(memory), max(weights, self.generator.weights))

    def log_probs(self, batch: Batch) -> Float[Tensor, "B T V"]:
        """Log-probabilities of every token at every position of the given targets."""
        memory = self.encode(batch.source, batch.source_mask)
        return self.generator.log_probs(self.decode(batch.target_in, memory), memory.tokens)

    def start(self, memory: Memory, shortlist: Shortlist | None = None) -> ModelState:
        """The state before the first token, with the shortlist prepared for the generator."""
        prepared = None if shortlist is None else self.generator.prepare(shortlist)
        return ModelState(self.decoder.start(memory), memory.tokens, prepared)

    def step(
        self, tokens: Int[Tensor, "B K"], state: ModelState, need_weights: bool = False
    ) -> tuple[Float[Tensor, "B K V"], Float[Tensor, "B K S"] | None, ModelState]:
        """Log-probabilities of the token after `tokens`, for each hypothesis; on request the attention weights of the
        last layer with attention, the mean over its heads; and the new state."""
        decoded, after = self._features(tokens, state, Weights.LAST if need_weights else Weights.NONE)
        if state.shortlist is None:
            log_probs = self.generator.log_probs(decoded, state.tokens)
        else:
            log_probs = self.generator.log_probs_among(decoded, state.tokens, state.shortlist)
        return log_probs, decoded.weights if need_weights else None, after

    def rank(self, tokens: Int[Tensor, "B K"], state: ModelState) -> tuple[Float[Tensor, "B K V"], ModelState]:
        """Without a softmax where the generator needs none."""
        decoded, after = self._features(tokens, state, Weights.NONE)
        return self.generator.scores(decoded, state.tokens, state.shortlist), after

    def _features(self, tokens: Int[Tensor, "B K"], state: ModelState, weights: Weights) -> tuple[Decoded, ModelState]:
        """The decoder's features after `tokens`, and the new state."""
        ids = tokens if state.shortlist is None else state.shortlist.tokens(tokens)
        decoded, decoder = self.decoder.step(ids, state.decoder, max(weights, self.generator.weights))
        return decoded, replace(state, decoder=decoder)
