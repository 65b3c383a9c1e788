"""Constraints on the next token, the same for every search: length limits, blocked n-grams, prefixes.

N-gram blocking: Paulus et al. (2017), arXiv:1705.04304, section 2.5.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.types import BOS, EOS, PAD, State, source_part

NEVER = float("-inf")


@dataclass(frozen=True)
class Constraints(State):
    """The rules of a batch. Lengths are in tokens, the end symbol counted.

    `limits` is the most per sentence, `min_length` the fewest. No n-gram of `no_repeat_ngram` token ids occurs twice;
    0: off. A target begins with its sentence's `prefix`, padded on the right; None if no sentence has one.
    """

    limits: Int[Tensor, " B"] = source_part()
    prefix: Int[Tensor, "B P"] | None = source_part()
    min_length: int = 0
    no_repeat_ngram: int = 0

    def at_limit(self, tokens: Int[Tensor, "B K t"]) -> Bool[Tensor, " B"]:
        """Which sentences are at their last position; `tokens` begin with the start symbol."""
        return tokens.shape[-1] >= self.limits

    def restrict(self, log_probs: Float[Tensor, "B K V"], tokens: Int[Tensor, "B K t"]) -> Float[Tensor, "B K V"]:
        """-inf for tokens that may not follow `tokens`; `log_probs` may be overwritten.

        The others keep the model's log-probability, without normalising again. Some token always remains: a prefix has
        priority over the other rules, and the end symbol is allowed early if nothing else is.
        """
        position = tokens.shape[-1]  # of the next token, from 1: the start symbol is at 0
        if self.prefix is None or position > self.prefix.shape[1]:
            return self._restrict_freely(log_probs, tokens)
        given = self.prefix[:, position - 1]
        forced = _only(given, log_probs)
        return torch.where((given != PAD)[:, None, None], forced, self._restrict_freely(log_probs, tokens))

    def _restrict_freely(
        self, log_probs: Float[Tensor, "B K V"], tokens: Int[Tensor, "B K t"]
    ) -> Float[Tensor, "B K V"]:
        """The constraints without a prefix."""
        end = log_probs[..., EOS].clone()
        for never in (PAD, BOS, EOS):
            log_probs[..., never] = NEVER
        if self.no_repeat_ngram:
            _block(log_probs, tokens, self.no_repeat_ngram)
        last = self.at_limit(tokens)
        if last.any():
            log_probs.masked_fill_(last[:, None, None], NEVER)
        if tokens.shape[-1] < self.min_length:
            stuck = log_probs.amax(-1) == NEVER
            end = end.where(stuck, NEVER)
        log_probs[..., EOS] = end
        return log_probs


def _only(given: Int[Tensor, " B"], log_probs: Float[Tensor, "B K V"]) -> Float[Tensor, "B K V"]:
    """-inf for all but each sentence's given token."""
    index = given[:, None, None].expand(-1, log_probs.shape[1], 1)
    return torch.full_like(log_probs, NEVER).scatter(-1, index, log_probs.gather(-1, index))


def _block(log_probs: Float[Tensor, "B K V"], tokens: Int[Tensor, "B K t"], n: int) -> None:
    """-inf for tokens that would complete an n-gram that the hypothesis already has."""
    if tokens.shape[-1] < n:
        return
    ngrams = tokens.unfold(-1, n, 1)
    again = (ngrams[..., :-1] == tokens[..., None, tokens.shape[-1] - (n - 1) :]).all(-1)
    log_probs.scatter_(-1, ngrams[..., -1].where(again, PAD), NEVER)  # PAD is forbidden anyway
