"""chrF and chrF++ between all pairs of texts: Popović (2015), W15-3049, and (2017), W17-4770, as sacreBLEU has them."""

import string
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.search.common_ngrams import common_ngrams

CHARACTERS = 6  # the longest character n-gram
BETA = 2  # recall counts so many times as much as precision


def pairwise_chrf(left: Sequence[str], right: Sequence[str], word_order: int = 0) -> Float[Tensor, "C N"]:
    """The sentence score of each hypothesis on the left with each reference on the right, from 0 to 1, in float64.

    Precision and recall are means over the orders that both texts have: character n-grams, without white space, and
    with `word_order` 2 (chrF++) word n-grams. Without a common order, as with an empty text, the score is 0.
    """
    number = {text: i for i, text in enumerate(dict.fromkeys((*left, *right)))}
    rows, columns = ([number[text] for text in texts] for texts in (left, right))
    counted = [common_ngrams([_characters(text) for text in number], CHARACTERS)]
    if word_order:
        kinds: dict[str, int] = {}
        words = [[kinds.setdefault(word, len(kinds)) for word in _words(text)] for text in number]
        counted.append(common_ngrams(words, word_order))
    matches = np.concatenate([shared for shared, _ in counted])[:, rows][:, :, columns]
    totals = np.concatenate([total for _, total in counted])
    ours, theirs = totals[:, rows, None], totals[:, None, columns]
    both = (ours > 0) & (theirs > 0)
    orders = np.maximum(both.sum(0), 1)
    precision = np.where(both, matches / np.maximum(ours, 1), 0.0).sum(0) / orders
    recall = np.where(both, matches / np.maximum(theirs, 1), 0.0).sum(0) / orders
    weighted = BETA**2 * precision + recall
    return torch.from_numpy((1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0))


def _characters(text: str) -> list[int]:
    """Code points, without white space."""
    return list(map(ord, "".join(text.split())))


def _words(text: str) -> list[str]:
    """Words as chrF++ has them: one punctuation mark at the end, or else at the beginning, is a word of its own."""
    return [part for word in text.split() for part in _apart(word)]


def _apart(word: str) -> tuple[str, ...]:
    if len(word) > 1 and word[-1] in string.punctuation:
        return word[:-1], word[-1]
    if len(word) > 1 and word[0] in string.punctuation:
        return word[0], word[1:]
    return (word,)
