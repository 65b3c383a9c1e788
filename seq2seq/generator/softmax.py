"""The plain generator: a linear map and a softmax, optionally tied to the target embedding (Press and Wolf 2017,
arXiv:1608.05859)."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.generator.base import Generator
from seq2seq.generator.shortlist import Rows, Shortlist
from seq2seq.layers.packed_linear import Int8Linear, PackedLinear
from seq2seq.layers.unpad import real_mask, unpad
from seq2seq.loss.cross_entropy import cross_entropy
from seq2seq.types import Decoded


class SoftmaxGenerator(Generator):
    """log softmax(E P h + b): E [V E] is the tied table or its own weights; P maps features to its width.

    Shapes: features [B T D] -> log-probabilities [B T V].
    """

    def __init__(self, *, feature_dim: int, vocab_size: int, table: nn.Embedding | None, bias: bool) -> None:
        super().__init__()
        width = feature_dim if table is None else table.embedding_dim
        self.adapt = nn.Identity() if width == feature_dim else nn.Linear(feature_dim, width)
        with torch.random.fork_rng(devices=[]):  # the linear map's own initialisation is not used
            self.output = nn.Linear(width, vocab_size, bias=bias)
        if table is None:
            nn.init.normal_(self.output.weight, std=width**-0.5)
        else:
            self.output.weight = table.weight
        if bias:
            nn.init.zeros_(self.output.bias)

    def log_probs(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None) -> Float[Tensor, "B T V"]:
        """Of every token, at every position."""
        return _log_softmax(self._logits(decoded.features))

    def scores(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Rows | None
    ) -> Float[Tensor, "B T V"]:
        """Without the softmax, unless the class has log-probabilities of its own."""
        own, usual = type(self), SoftmaxGenerator
        if shortlist is None and own.log_probs is usual.log_probs:
            return _wide(self._logits(decoded.features))
        if shortlist is not None and own.log_probs_among is usual.log_probs_among:
            return self._logits_among(decoded, shortlist)
        return super().scores(decoded, tokens, shortlist)

    def real_log_probs(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "N V"]:
        """On a CPU padding is removed before the widest product."""
        return _log_softmax(self._logits(unpad(decoded.features, mask)))

    def prepare(self, shortlist: Shortlist) -> Rows:
        """With these rows of the output layer, in the data type of the products."""
        return Rows(shortlist.ids, shortlist.outside, _among(self.output, shortlist.ids))

    def log_probs_among(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Rows
    ) -> Float[Tensor, "B T L"]:
        """Of a sentence's own tokens."""
        return self._logits_among(decoded, shortlist).log_softmax(-1)

    def loss(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        smoothing: float,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """On a CPU padding is removed before the widest product."""
        logits = self._logits(unpad(decoded.features, mask))
        return cross_entropy(logits, unpad(targets, mask), smoothing, real_mask(mask))

    def target_log_probs(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, " N"]:
        """On a CPU padding is removed before the widest product."""
        wide = _wide(self._logits(unpad(decoded.features, mask)))
        return wide.gather(-1, unpad(targets, mask).unsqueeze(-1)).squeeze(-1) - wide.logsumexp(-1)

    def _logits(self, features: Float[Tensor, "*N D"]) -> Float[Tensor, "*N V"]:
        return self.output(self.adapt(features))

    def _logits_among(self, decoded: Decoded, shortlist: Rows) -> Float[Tensor, "B T L"]:
        """One product for all sentences; each has only its own tokens."""
        assert shortlist.product is not None
        return _wide(shortlist.product(self.adapt(decoded.features))) + shortlist.outside


def _among(output: nn.Module, ids: Int[Tensor, " L"]) -> Callable[[Tensor], Tensor]:
    """The product with these rows of an output layer."""
    if isinstance(output, PackedLinear | Int8Linear):
        return output.among(ids)
    assert isinstance(output, nn.Linear)
    weight, bias = output.weight[ids], None if output.bias is None else output.bias[ids]
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        weight = weight.to(torch.get_autocast_dtype(device))
    return partial(F.linear, weight=weight, bias=bias)


def _log_softmax(logits: Float[Tensor, "*N V"]) -> Float[Tensor, "*N V"]:
    """In fp32 at least."""
    return _wide(logits).log_softmax(-1)


def _wide(logits: Float[Tensor, "*N V"]) -> Float[Tensor, "*N V"]:
    """In fp32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
