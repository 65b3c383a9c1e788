"""What every search offers, and the keys they share."""

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import NotRequired, Self, TypedDict

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.model.stepwise import Stepwise
from seq2seq.search.constraints import Constraints
from seq2seq.tokenizer import Vocabulary
from seq2seq.types import BOS, PAD, Component

EXTRA = 10  # tokens that a target may have beyond max_length_ratio times its source's
BLOCKS = 8  # a row is reduced to its blocks' maxima, an eighth of it
WORTH_IT = 2**18  # scores; for fewer, plain topk is faster


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Token ids without the end symbol, log p(tokens and end | source), and the score for ranking; the latter two are
    nan after a search without scores that did not compute them."""

    tokens: list[int]
    log_prob: float
    score: float


class SearchLimits(TypedDict):
    """The limits that every search takes; Search says what they mean."""

    max_length: int
    max_length_ratio: float
    min_length: NotRequired[int]
    no_repeat_ngram: NotRequired[int]


class Search(Component, ABC):
    """Finds likely targets of `min_length` to `max_length` tokens, the end symbol counted.

    A target has at most `max_length_ratio` times the source's tokens, plus 10, unless `min_length` is more. The last
    allowed token is the end symbol, so every hypothesis ends. With `no_repeat_ngram` = n > 0 no n-gram of token ids
    occurs twice; a hypothesis that could only continue by repeating one ends, even before `min_length`.
    """

    def __init__(
        self, *, max_length: int, max_length_ratio: float, min_length: int = 0, no_repeat_ngram: int = 0
    ) -> None:
        problems = []
        if max_length < 1:
            problems.append(f"search.max_length: expected 1 or more, got {max_length}")
        if max_length_ratio < 0:
            problems.append(f"search.max_length_ratio: expected 0 or more, got {max_length_ratio}")
        if not 0 <= min_length <= max(max_length, 0):
            problems.append(f"search.min_length: expected 0 to search.max_length={max_length}, got {min_length}")
        if no_repeat_ngram < 0:
            problems.append(f"search.no_repeat_ngram: expected 0 (off) or more, got {no_repeat_ngram}")
        if problems:
            raise ValueError("\n".join(problems))
        self.max_length = max_length
        self.max_length_ratio = max_length_ratio
        self.min_length = min_length
        self.no_repeat_ngram = no_repeat_ngram

    compares_texts = False  # whether it needs the vocabulary
    scored = True  # whether hypotheses need their log-probabilities

    @property
    @abstractmethod
    def most(self) -> int:
        """The most hypotheses per sentence."""

    @abstractmethod
    def __call__(
        self,
        model: Stepwise,
        source: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B S"],
        prefix: Int[Tensor, "B P"] | None = None,
        numbers: Int[Tensor, " B"] | None = None,
    ) -> list[list[Hypothesis]]:
        """The hypotheses of each sentence, best first. The model must be in eval mode, without gradients.

        Targets begin with the tokens of `prefix`, padded on the right. It is always complete, whatever the limits and
        its n-grams, and is part of the hypotheses and their scores. `numbers` are distinct numbers of the sentences:
        samples for a sentence depend on its number, not on its batch; None: 0, 1, 2, ...
        """

    def reading(self, vocabulary: Vocabulary) -> Self:
        """The same search with a vocabulary to decode its tokens; most searches do not need one."""
        return self

    def without_scores(self) -> Self:
        """The same search for callers that use no scores; a search that is faster without them may give nan."""
        unscored = copy(self)
        unscored.scored = False
        return unscored

    def constraints(self, mask: Bool[Tensor, "B S"], prefix: Int[Tensor, "B P"] | None) -> Constraints:
        """The rules for these sources."""
        limits = self.limits(mask.sum(1))
        if prefix is not None:
            limits = limits.maximum((prefix != PAD).sum(1) + 1)
        return Constraints(limits, prefix, self.min_length, self.no_repeat_ngram)

    def limits(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The most tokens of targets for these sources, the end symbol counted on both sides."""
        by_ratio = (source_lengths * self.max_length_ratio).long() + EXTRA
        return by_ratio.clamp(self.min_length, self.max_length)


def first_tokens(sentences: int, device: torch.device) -> Int[Tensor, "B 1"]:
    """The begin symbol, before every target."""
    return torch.full((sentences, 1), BOS, device=device)


def topk(scores: Float[Tensor, "*N V"], count: int) -> tuple[Float[Tensor, "*N {count}"], Int[Tensor, "*N {count}"]]:
    """The `count` highest values of each row, highest first, and their indices: torch.topk, with a faster way on a CPU.

    There torch.topk goes through single elements. But the highest ones are in the blocks with the highest maxima, at
    worst one per block; maxima are computed with vector instructions, and the highest of them are found in the same
    way.
    """
    width = scores.shape[-1] // BLOCKS
    if scores.device.type != "cpu" or scores.numel() < WORTH_IT or width < 4 * count:
        return scores.topk(count, -1)
    blocks = scores[..., : BLOCKS * width].unflatten(-1, (BLOCKS, width))  # block j: j, j + width, j + 2 width ...
    chosen = topk(blocks.amax(-2), count)[1]
    inside = blocks.gather(-1, chosen.unsqueeze(-2).expand(*chosen.shape[:-1], BLOCKS, count)).flatten(-2)
    rest = scores[..., BLOCKS * width :]
    best, place = torch.cat((inside, rest), -1).topk(count, -1)
    own = chosen.gather(-1, place % count) + place // count * width
    return best, own.where(place < BLOCKS * count, place - BLOCKS * count + BLOCKS * width)
