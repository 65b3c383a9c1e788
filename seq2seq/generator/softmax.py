"""The plain generator: a linear map and a softmax, its weights tied to the target embedding on request
(Press and Wolf 2017, arXiv:1608.05859)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.generator.base import Generator
from seq2seq.layers.real import real, real_mask
from seq2seq.loss.cross_entropy import cross_entropy
from seq2seq.types import Decoded


class SoftmaxGenerator(Generator):
    """log softmax(E P h + b): E [V E] is the tied table or weights of its own; P brings features to its width.

    Shapes: features [B T D] -> log-probabilities [B T V].
    """

    def __init__(self, *, feature_dim: int, vocab_size: int, table: nn.Embedding | None, bias: bool) -> None:
        super().__init__()
        width = feature_dim if table is None else table.embedding_dim
        self.adapt = nn.Identity() if width == feature_dim else nn.Linear(feature_dim, width)
        with torch.random.fork_rng(devices=[]):  # what a linear map draws for itself is not kept
            self.output = nn.Linear(width, vocab_size, bias=bias)
        if table is None:
            nn.init.normal_(self.output.weight, std=width**-0.5)
        else:
            self.output.weight = table.weight
        if bias:
            nn.init.zeros_(self.output.bias)

    def log_probs(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None) -> Float[Tensor, "B T V"]:
        """Of every token, at every position."""
        logits = self._logits(decoded.features)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    def loss(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        smoothing: float,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """On a CPU padding leaves before the widest product."""
        logits = self._logits(real(decoded.features, mask))
        return cross_entropy(logits, real(targets, mask), smoothing, real_mask(mask))

    def target_log_probs(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, " N"]:
        """On a CPU padding leaves before the widest product."""
        logits = self._logits(real(decoded.features, mask))
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return wide.gather(-1, real(targets, mask).unsqueeze(-1)).squeeze(-1) - wide.logsumexp(-1)

    def _logits(self, features: Float[Tensor, "*N D"]) -> Float[Tensor, "*N V"]:
        return self.output(self.adapt(features))
