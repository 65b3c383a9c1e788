"""How many n-grams texts share, for all pairs of texts at once: what chrF and BLEU between all pairs need."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def common_ngrams(
    texts: Sequence[Sequence[int]], longest: int
) -> tuple[Float[np.ndarray, "{longest} N N"], Float[np.ndarray, "{longest} N"]]:
    """For n = 1 to `longest`: the n-grams that each text shares with each other one, with repetitions (the sum over
    n-grams of the smaller count), and the n-grams of each text. `texts` are numbers of characters or words."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    units = np.unique(np.array([unit for text in texts for unit in text], dtype=np.int64), return_inverse=True)[1]
    owners = np.repeat(np.arange(len(texts)), lengths)
    ends = np.cumsum(lengths)[owners]  # where the text of each unit ends
    places, kinds = np.arange(len(units)), np.zeros(len(units), dtype=np.int64)  # n-grams: where they begin, and which
    shared, totals = [], []
    for n in range(1, longest + 1):
        fits = places + n <= ends[places]
        places, longer = places[fits], kinds[fits] * (len(units) + 1) + units[places[fits] + n - 1]
        kinds = np.unique(longer, return_inverse=True)[1]
        totals.append(np.maximum(lengths - n + 1, 0))
        shared.append(_shared(kinds, owners[places], totals[-1]))
    return np.array(shared, dtype=np.float64), np.array(totals, dtype=np.float64)


def _shared(
    kinds: Int[np.ndarray, " M"], owners: Int[np.ndarray, " M"], totals: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N N"]:
    """The smaller counts, summed over the kinds, of M n-grams of N texts.

    Each occurrence in a text (the first, the second, ...) is an item of its own, which a text has or has not. Then the
    smaller counts are products of zeros and ones, and their sum a product of matrices; it is exact in float32. NumPy's
    product, as autocast would round torch's.
    """
    texts = len(totals)
    order = np.lexsort((owners, kinds))
    kinds, owners = kinds[order], owners[order]
    begins = np.ones(len(kinds), dtype=bool)  # the first occurrence of a kind in a text
    begins[1:] = (kinds[1:] != kinds[:-1]) | (owners[1:] != owners[:-1])
    index = np.arange(len(kinds))
    occurrence = index - np.maximum.accumulate(np.where(begins, index, 0))
    items, counts = np.unique(kinds * (len(kinds) + 1) + occurrence, return_inverse=True, return_counts=True)[1:]
    several = counts > 1  # an item of one text only is shared with no other
    columns = np.cumsum(several) - 1
    kept = several[items]
    has = np.zeros((texts, int(several.sum())), dtype=np.float32)
    has[owners[kept], columns[items[kept]]] = 1.0
    shared = (has @ has.T).astype(np.float64)
    np.fill_diagonal(shared, totals)
    return shared
