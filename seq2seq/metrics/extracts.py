"""Baselines for summaries: sentences of the source, its first ones (lead-K) or random ones (random-K)."""

import re
from collections.abc import Sequence

import numpy as np

from seq2seq.metrics.significance import SEED
from seq2seq.metrics.words import sentences

USUAL = ("lead-1", "lead-3", "random-3")


def extract(name: str, sources: Sequence[str], *, seed: int = SEED) -> list[str]:
    """For each source its first K sentences (`lead-K`), or K drawn with this seed, in the order of the source
    (`random-K`), one sentence per line; all of them if there are no more than K.

    A sentence ends with its line or with a mark such as .!? (`words.sentences`). Raises ValueError for other names.
    """
    found = re.fullmatch(r"(lead|random)-([1-9]\d*)", name)
    if not found:
        raise ValueError(f"expected lead-K or random-K, such as lead-3, got {name}")
    count = int(found[2])
    random = np.random.default_rng(seed) if found[1] == "random" else None
    return ["\n".join(_chosen(sentences(source), count, random)) for source in sources]


def _chosen(found: list[str], count: int, random: np.random.Generator | None) -> list[str]:
    if random is None or len(found) <= count:
        return found[:count]
    return [found[index] for index in sorted(random.choice(len(found), size=count, replace=False))]
