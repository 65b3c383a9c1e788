"""Minimum Bayes risk decoding: Kumar and Byrne (2004), NAACL; by samples: Eikema and Aziz (2020), arXiv:2005.10283."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis
from seq2seq.search.beam import BeamSearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.types import PAD

NOTHING = -1  # behind the tokens of the one side, as PAD is behind those of the other: no two of them are the same


class MinimumRiskSearch(SamplingSearch):
    """Of several candidates the one that has most in common with what else the model would write.

    `samples` targets are drawn as SamplingSearch draws them. The candidates are what a beam search finds, with
    `beam_size` > 0, and, unless `candidates` is "beam", the samples. A candidate's score is the mean over the samples
    of their F1 by longest common subsequence, ROUGE-L over token ids (Lin 2004); log_prob is the model's own, as ever.
    """

    def __init__(
        self,
        *,
        samples: int,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int,
        beam_size: int,
        length_penalty: float,
        candidates: Literal["all", "beam"],
        max_length: int,
        max_length_ratio: float,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
    ) -> None:
        super().__init__(
            samples=samples,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            max_length=max_length,
            max_length_ratio=max_length_ratio,
            min_length=min_length,
            no_repeat_ngram=no_repeat_ngram,
        )
        if beam_size < 0:
            raise ValueError(f"search.beam_size: expected 0 (no beam search) or more, got {beam_size}")
        if candidates == "beam" and not beam_size:
            raise ValueError("search.candidates=beam: there is no beam with search.beam_size=0")
        self.samples_compete = candidates == "all"
        self.beam = None
        if beam_size:
            self.beam = BeamSearch(
                beam_size=beam_size,
                length_penalty=length_penalty,
                max_length=max_length,
                max_length_ratio=max_length_ratio,
                min_length=min_length,
                no_repeat_ngram=no_repeat_ngram,
            )

    @property
    def most(self) -> int:
        """All candidates."""
        return self.samples * self.samples_compete + (self.beam.most if self.beam else 0)

    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The candidates of each sentence, each once, best first."""
        drawn = super().__call__(model, source, mask, prefix)
        found = self.beam(model, source, mask, prefix) if self.beam else [[] for _ in drawn]
        return [
            _ranked([*beams, *(samples if self.samples_compete else [])], samples)
            for beams, samples in zip(found, drawn, strict=True)
        ]


def _ranked(candidates: Sequence[Hypothesis], samples: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The candidates, each once, by what they have in common with the samples; of equal ones the first stays first."""
    once = list({tuple(one.tokens): one for one in reversed(candidates)}.values())[::-1]
    scores = agreement([one.tokens for one in once], [one.tokens for one in samples]).mean(1).tolist()
    scored = [Hypothesis(one.tokens, one.log_prob, score) for one, score in zip(once, scores, strict=True)]
    return sorted(scored, key=lambda one: -one.score)


def agreement(left: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> Float[Tensor, "C N"]:
    """F1 by longest common subsequence of each on the left with each on the right; 1 for two that are empty."""
    tokens, others = _padded(left, PAD), _padded(right, NOTHING)
    both = (tokens != PAD).sum(1).unsqueeze(1) + (others != NOTHING).sum(1)
    return torch.where(both > 0, 2.0 * longest_common(tokens, others) / both, 1.0)


def longest_common(left: Int[Tensor, "C T"], right: Int[Tensor, "N U"]) -> Int[Tensor, "C N"]:
    """The length of the longest common subsequence of each row on the left with each on the right.

    The usual recurrence over prefixes i, j, max(L[i-1, j], L[i, j-1], L[i-1, j-1] + same), with the middle term as a
    running maximum: so a row of it, for all pairs, is made at once.
    """
    lengths = left.new_zeros(len(left), len(right), right.shape[1] + 1)
    for tokens in left.unbind(1):
        longer = lengths[..., :-1] + (tokens[:, None, None] == right)
        lengths[..., 1:] = torch.maximum(lengths[..., 1:], longer).cummax(-1).values
    return lengths[..., -1]


def _padded(rows: Sequence[Sequence[int]], padding: int) -> Int[Tensor, "N T"]:
    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], True, padding)
