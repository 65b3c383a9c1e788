"""Sentence BLEU between all pairs of texts: Papineni et al. (2002), P02-1040, section 2.3; zero counts as in Chen and
Cherry (2014), W14-3346, section 3, smoothing 3; as sacreBLEU defines it with effective order."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.search.common_ngrams import common_ngrams

LONGEST = 4  # the longest n-gram
Words = tuple[str, ...]


def pairwise_bleu(left: Sequence[Words], right: Sequence[Words]) -> Float[Tensor, "C N"]:
    """The sentence score of each hypothesis on the left with each reference on the right, from 0 to 1, in float64.

    The geometric mean of the precisions of the orders that the hypothesis has, up to four words, times the brevity
    penalty. The i-th order without a match counts 1 / 2^i matches. Without any match the score is 0.
    """
    number = {words: i for i, words in enumerate(dict.fromkeys((*left, *right)))}
    rows, columns = ([number[words] for words in several] for several in (left, right))
    kinds: dict[str, int] = {}
    texts = [[kinds.setdefault(word, len(kinds)) for word in words] for words in number]
    shared, totals = common_ngrams(texts, LONGEST)
    matches, ours = shared[:, rows][:, :, columns], totals[:, rows, None]
    missing = (matches == 0) & (ours > 0)
    smoothed = np.where(missing, 0.5 ** missing.cumsum(0), matches)
    logs = np.where(ours > 0, np.log(np.where(ours > 0, smoothed, 1.0) / np.maximum(ours, 1.0)), 0.0)
    precision = np.exp(logs.sum(0) / np.maximum((ours > 0).sum(0), 1))
    brevity = np.exp(np.minimum(1 - totals[0][columns] / np.maximum(ours[0], 1.0), 0.0))
    return torch.from_numpy(np.where(matches.any(0), brevity * precision, 0.0))
