"""The model: an encoder's memory, pooled or whole, a decoder that attends to it, a generator of tokens."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.decoder.base import Decoder
from seq2seq.encoder.base import Encoder
from seq2seq.generator.base import Generator
from seq2seq.pooling.base import Pooling
from seq2seq.types import Batch, Decoded, Memory


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the real target tokens of a batch, in nats; `loss` and `penalty` carry gradients.

    `penalty` is what the attention asks to be kept small, the mean over the layers that ask; None if none does.
    """

    loss: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    count: Int[Tensor, ""]
    penalty: Float[Tensor, ""] | None = None


class Model(nn.Module):
    """log p(target | source). Training enters through `forward`, search through `encode`, `start` and `step`."""

    def __init__(self, *, encoder: Encoder, pooling: Pooling, decoder: Decoder, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.decoder = decoder
        self.generator = generator

    def forward(self, batch: Batch, smoothing: float = 0.0) -> TokenLoss:
        """The loss of a batch, its targets given (teacher forcing)."""
        decoded = self.decode(batch)
        loss, nll = self.generator.loss(decoded, batch.target_out, batch.target_mask, smoothing)
        return TokenLoss(loss, nll, batch.target_mask.sum(), _penalty(decoded, batch.target_mask))

    def decode(self, batch: Batch, need_weights: bool = False) -> Decoded:
        """Features, and attention weights on request, at every position of the given targets."""
        memory = self.encode(batch.source, batch.source_mask)
        return self.decoder(batch.target_in, self.start(memory), need_weights)

    def log_probs(self, batch: Batch) -> Float[Tensor, "B T V"]:
        """Log-probabilities of every token at every position of the given targets."""
        return self.generator.log_probs(self.decode(batch))

    def encode(self, source: Int[Tensor, "B S"], mask: Bool[Tensor, "B S"]) -> Memory:
        """Read the source, and shorten what is remembered of it where the pooling does."""
        return self.pooling(self.encoder(source, mask))

    def start(self, memory: Memory) -> Any:
        """The decoder's state before the first token."""
        return self.decoder.start(memory)

    def step(self, tokens: Int[Tensor, "B K"], state: Any) -> tuple[Float[Tensor, "B K V"], Any]:
        """Log-probabilities of the token after `tokens`, for each hypothesis, and the state that holds them."""
        decoded, state = self.decoder.step(tokens, state)
        return self.generator.log_probs(decoded), state


def _penalty(decoded: Decoded, mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""] | None:
    """The sum over real positions of what the attention asks to be kept small."""
    asked = [attended.penalty for attended in decoded.attended if attended.penalty is not None]
    return torch.stack(asked).mean(0)[mask].sum() if asked else None
