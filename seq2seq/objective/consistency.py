"""A second, disturbed pass over each pair, and the divergence of its predictions from those of the first.

- r_drop: other dropout; symmetric KL. Liang et al. (2021), arXiv:2106.14448, section 2.
- simcut: also zero embeddings for a share of the tokens of both sides; KL from the first pass to the second. Gao et al.
  (2022), arXiv:2206.02368, section 3.
- cutoff: the same disturbance; Jensen-Shannon divergence. Shen et al. (2020), arXiv:2009.13818, token cutoff.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.layers.unpad import real_sum
from seq2seq.loss.divergence import jensen_shannon, kl_divergence
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import EOS, PAD, Batch

Kind = Literal["r_drop", "simcut", "cutoff"]


class Consistency:
    """Doubles a batch, so that both passes are one, and compares their predictions.

    `weight` multiplies the divergence. It is R-Drop's alpha (5 for translation in the paper), which is halved like the
    likelihood, here a mean over both passes instead of their sum; or SimCut's alpha (3). `share` of the tokens are cut,
    never begin and end symbols and what `spare` names.
    """

    def __init__(self, *, kind: Kind, weight: float, share: float) -> None:
        self.kind = kind
        self.weight = weight
        self.share = share
        self.spared = (EOS, EOS)  # the highest ids of source and target pieces that are never cut
        self.averages = kind != "simcut"  # the likelihood is the mean over both passes, not that of the first alone

    def double(self, batch: Batch) -> Batch:
        """The batch and, below it, the second pass. A cut token becomes padding that the mask does not hide: embeddings
        of padding are zero."""
        both = Batch(*(torch.cat((part, part)) for part in (getattr(batch, field.name) for field in fields(Batch))))
        if self.kind == "r_drop":
            return both
        first = len(batch.source)
        source, target = self.spared
        return replace(
            both, source=self._cut(both.source, first, source), target_in=self._cut(both.target_in, first, target)
        )

    def spare(self, tokenizer: Tokenizer) -> None:
        """Never cut line breaks and symbols: positions may depend on them."""
        source, target = (max(EOS, *side.symbols.values()) for side in (tokenizer.source, tokenizer.target))
        self.spared = (source, target)

    def _cut(self, tokens: Int[Tensor, "B T"], first: int, spared: int) -> Int[Tensor, "B T"]:
        """The tokens, with a share of those from row `first` on cut, if their ids are above `spared`."""
        cut = torch.rand(tokens.shape, device=tokens.device) < self.share
        rows = torch.arange(len(tokens), device=tokens.device).unsqueeze(1)
        return tokens.masked_fill(cut & (tokens > spared) & (rows >= first), PAD)

    def divergence(self, log_probs: Sequence[Float[Tensor, "N V"]], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
        """The weighted sum over the real tokens, of both passes' log-probabilities; gradients reach both."""
        first, second = log_probs
        if self.kind == "r_drop":
            rows = (kl_divergence(first, second) + kl_divergence(second, first)) / 4
        elif self.kind == "simcut":
            rows = kl_divergence(first, second)
        else:
            rows = jensen_shannon(first, second)
        return self.weight * real_sum(rows, mask)
