"""The pointer-generator, which also copies from the source: See et al. (2017), arXiv:1704.04368, section 2.2."""

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.generator.shortlist import Rows
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.layers.unpad import real_sum, unpad
from seq2seq.types import Capability, Decoded, Weights

NEVER = float("-inf")


class PointerGenerator(SoftmaxGenerator):
    """p(w) = g p_vocab(w) + (1 - g) sum of a_s over the source positions s with token w, g = sigmoid(v . [c; h; x] + b)
    of the context c, the features h and the decoder's input x (equations 8 and 9).

    a are the weights of the last layer with attention, the mean over its heads; if they sum to less than 1, p_vocab
    gets the rest. Source and target share one vocabulary, so any piece of the source can be copied. Shapes: context
    [B T C], features [B T D], inputs [B T E], weights [B T S], tokens [B S] -> [B T V].
    """

    wired: ClassVar[frozenset[str]] = SoftmaxGenerator.wired | {"context_dim", "input_dim"}
    weights: ClassVar[Weights] = Weights.LAST

    def __init__(
        self,
        *,
        feature_dim: int,
        context_dim: int,
        input_dim: int,
        vocab_size: int,
        table: nn.Embedding | None,
        bias: bool,
    ) -> None:
        super().__init__(feature_dim=feature_dim, vocab_size=vocab_size, table=table, bias=bias)
        self.gate = nn.Linear(context_dim + feature_dim + input_dim, 1)
        nn.init.zeros_(self.gate.bias)

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """Weights over source tokens, and one vocabulary for both sides."""
        return frozenset({Capability.WEIGHTS, Capability.ALIGNED_MEMORY, Capability.JOINT_VOCABULARY})

    def log_probs(self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None) -> Float[Tensor, "B T V"]:
        """Of every token, at every position."""
        assert tokens is not None
        return self._with_copies(super().log_probs(decoded, tokens), decoded, tokens, tokens)

    def real_log_probs(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "N V"]:
        """Padding is removed after the copies have been added."""
        return unpad(self.log_probs(decoded, tokens), mask)

    def log_probs_among(
        self, decoded: Decoded, tokens: Int[Tensor, "B S"] | None, shortlist: Rows
    ) -> Float[Tensor, "B T L"]:
        """p_vocab is over the shortlist only, which must contain the source's own tokens, as these can be copied."""
        assert tokens is not None
        vocab = super().log_probs_among(decoded, tokens, shortlist)
        return self._with_copies(vocab, decoded, tokens, shortlist.columns(tokens))

    def loss(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        smoothing: float,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """On a CPU padding is removed before the widest product. Copies change the smoothed mean over the vocabulary
        only at the source's tokens."""
        assert tokens is not None
        log_own, copied = self._shares(decoded)
        vocab = self._logits(unpad(decoded.features, mask)).to(log_own.dtype).log_softmax(-1)
        log_own, target = unpad(log_own, mask), unpad(targets, mask).unsqueeze(-1)
        nll = -real_sum(_mixed(log_own + vocab.gather(-1, target), _copies(copied, tokens, targets, mask)), mask)
        if not smoothing:
            return nll, nll.detach()
        same = _same_token(tokens)
        columns = unpad(tokens.unsqueeze(1).expand(-1, mask.shape[1], -1), mask)
        plain = log_own + vocab.gather(-1, columns)
        gained = _mixed(plain, unpad(torch.matmul(copied, same.to(copied.dtype)), mask)) - plain
        first = unpad(_first(same).expand(-1, mask.shape[1], -1), mask)
        uniform = (
            -real_sum(log_own.squeeze(-1) + vocab.mean(-1), mask) - real_sum(gained * first, mask) / vocab.shape[-1]
        )
        return (1 - smoothing) * nll + smoothing * uniform, nll.detach()

    def target_log_probs(
        self,
        decoded: Decoded,
        tokens: Int[Tensor, "B S"] | None,
        targets: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, " N"]:
        """On a CPU padding is removed before the widest product."""
        assert tokens is not None
        log_own, copied = self._shares(decoded)
        own = unpad(log_own, mask) + super().target_log_probs(decoded, tokens, targets, mask).unsqueeze(-1)
        return _mixed(own, _copies(copied, tokens, targets, mask)).squeeze(-1)

    def _with_copies(
        self,
        vocab: Float[Tensor, "B T V"],
        decoded: Decoded,
        tokens: Int[Tensor, "B S"],
        columns: Int[Tensor, "B S"],
    ) -> Float[Tensor, "B T V"]:
        """log p_vocab combined with the copies; `columns` are the columns of the source's tokens."""
        log_own, copied = self._shares(decoded)
        log_probs = log_own + vocab
        same = _same_token(tokens)
        columns = columns.unsqueeze(1).expand(-1, log_probs.shape[1], -1)
        mixed = _mixed(log_probs.gather(-1, columns), torch.matmul(copied, same.to(copied.dtype)))
        # Positions with the same token have the same sum, whichever is written last; the first of them has its
        # gradient.
        mixed = mixed.where(_first(same), mixed.detach())
        return log_probs.scatter(-1, columns, mixed)

    def _shares(self, decoded: Decoded) -> tuple[Float[Tensor, "B T 1"], Float[Tensor, "B T S"]]:
        """log of the share of p_vocab, and the shares of the source positions: all of them together sum to 1."""
        read = (decoded.attended[-1].context, decoded.features, decoded.inputs)
        gate = self.gate(torch.cat([part.to(decoded.features.dtype) for part in read], -1))
        gate = gate.to(torch.promote_types(gate.dtype, torch.float32))
        weights = decoded.weights.to(gate.dtype)
        left = (1 - weights.sum(-1, keepdim=True)).clamp(min=0)
        return torch.logaddexp(F.logsigmoid(gate), F.logsigmoid(-gate) + _log(left)), torch.sigmoid(-gate) * weights


def _copies(
    copied: Float[Tensor, "B T S"], tokens: Int[Tensor, "B S"], targets: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "N 1"]:
    """The copy probability of each real target."""
    return unpad((copied * (tokens.unsqueeze(1) == targets.unsqueeze(-1))).sum(-1, keepdim=True), mask)


def _same_token(tokens: Int[Tensor, "B S"]) -> Bool[Tensor, "B S S"]:
    """Which positions have the same token."""
    return tokens.unsqueeze(1) == tokens.unsqueeze(2)


def _first(same: Bool[Tensor, "B S S"]) -> Bool[Tensor, "B 1 S"]:
    """Which positions are the first with their token."""
    return ~same.tril(-1).any(-1).unsqueeze(1)


def _mixed(log_probs: Float[Tensor, "*N"], copied: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """log(exp(log_probs) + copied)."""
    return torch.logaddexp(log_probs, _log(copied))


def _log(shares: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """log, with -inf and no gradient at 0."""
    real = shares > 0
    return torch.where(real, shares.where(real, 1.0).log(), NEVER)
