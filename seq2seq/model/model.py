"""The model: encoder, pooling, decoder with attention, generator."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.decoder.base import Decoder
from seq2seq.encoder.base import Encoder
from seq2seq.generator.base import Generator
from seq2seq.generator.shortlist import Shortlist
from seq2seq.layers.unpad import real_sum, unpad
from seq2seq.model.stepwise import Stepwise
from seq2seq.pooling.base import Pooling
from seq2seq.types import Batch, Decoded, Memory, State, Weights, hypothesis_part, source_part


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the real target tokens of a batch, in nats; `loss` and `penalty` carry gradients.

    `penalty` is the attention's own loss, the mean over the layers that have one; None if none has. `candidates` is the
    sum over the given candidates of weight times -log p; None if none were given.
    """

    loss: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    count: Int[Tensor, ""]
    penalty: Float[Tensor, ""] | None = None
    candidates: Float[Tensor, ""] | None = None


@dataclass(frozen=True)
class Candidates:
    """Other targets for the sources of a batch, R / B per source in consecutive rows, and their weights."""

    target_in: Int[Tensor, "R T"]
    target_out: Int[Tensor, "R T"]
    target_mask: Bool[Tensor, "R T"]
    weights: Float[Tensor, " R"]


@dataclass(frozen=True)
class ModelState(State):
    """The decoder's state, and the source ids of the memory's states, None after pooling.

    With a `shortlist` its columns are used instead of target ids.
    """

    decoder: State = hypothesis_part()
    tokens: Int[Tensor, "B S"] | None = source_part()
    shortlist: Shortlist | None = source_part()


class Model(Stepwise):
    """log p(target | source). Training enters through `forward`, search through `encode`, `start` and `step`."""

    def __init__(self, *, encoder: Encoder, pooling: Pooling, decoder: Decoder, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.decoder = decoder
        self.generator = generator

    def forward(self, batch: Batch, smoothing: float = 0.0, candidates: Candidates | None = None) -> TokenLoss:
        """The loss of a batch, its targets given (teacher forcing), and that of `candidates` to its targets."""
        memory = self.encode(batch.source, batch.source_mask)
        decoded = self.decode(batch.target_in, memory)
        loss, nll = self.generator.loss(decoded, memory.tokens, batch.target_out, batch.target_mask, smoothing)
        others = None if candidates is None else self._candidates_loss(candidates, memory)
        return TokenLoss(loss, nll, batch.target_mask.sum(), _penalty(decoded, batch.target_mask), others)

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Encode the source and pool the memory."""
        return self.pooling(self.encoder(source, mask))

    def decode(self, target_in: Int[Tensor, "B T"], memory: Memory, weights: Weights = Weights.NONE) -> Decoded:
        """Features at every position of the given targets, with the attention weights of at least these layers."""
        return self.decoder(target_in, self.decoder.start(memory), max(weights, self.generator.weights))

    def _candidates_loss(self, candidates: Candidates, memory: Memory) -> Float[Tensor, ""]:
        sentences, rows = len(memory.mask), len(candidates.weights)
        source = torch.arange(sentences, device=memory.mask.device).repeat_interleave(rows // sentences)
        memory = memory.keep(source)
        decoded, mask = self.decode(candidates.target_in, memory), candidates.target_mask
        log_probs = self.generator.target_log_probs(decoded, memory.tokens, candidates.target_out, mask)
        weights = candidates.weights.unsqueeze(1).expand(mask.shape)
        return -real_sum(unpad(weights, mask) * log_probs, mask)

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
        wanted = max(Weights.LAST if need_weights else Weights.NONE, self.generator.weights)
        shortlist = state.shortlist
        ids = tokens if shortlist is None else shortlist.tokens(tokens)
        decoded, decoder = self.decoder.step(ids, state.decoder, wanted)
        if shortlist is None:
            log_probs = self.generator.log_probs(decoded, state.tokens)
        else:
            log_probs = self.generator.log_probs_among(decoded, state.tokens, shortlist)
        return log_probs, decoded.weights if need_weights else None, replace(state, decoder=decoder)


def _penalty(decoded: Decoded, mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""] | None:
    """The sum over real positions of the attention's own loss."""
    penalties = [attended.penalty for attended in decoded.attended if attended.penalty is not None]
    return real_sum(unpad(torch.stack(penalties).mean(0), mask), mask) if penalties else None
