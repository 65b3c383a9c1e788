"""The pairs of each update: a function of (lengths, seed, epoch, settings), the same on any number of devices.

An epoch is sorted by length into blocks of about 2,000 real tokens per side, more in large updates; the blocks are
shuffled, and an update has a few of them. A block's pairs have nearly the same two lengths, so that its micro-batches
have little padding.
"""

from itertools import pairwise
from typing import Literal

import numpy as np

# Real tokens of a block, for each side that is counted: padding grows with larger blocks. Large updates have at most 8
# of them, because a GPU is faster with few large micro-batches.
BLOCK_TOKENS, MOST_BLOCKS = 2048, 8

PairIds = np.ndarray  # int64 [pairs]
Count = Literal["source+target", "target"]


def plan_epoch(
    source_lengths: np.ndarray,
    target_lengths: np.ndarray,
    *,
    seed: int,
    epoch: int,
    tokens_per_update: int,
    count: Count = "target",
) -> list[list[PairIds]]:
    """The epoch's updates in order, each a list of blocks of pair ids. Each pair occurs once.

    Lengths are tokens without end symbols; an update holds about `tokens_per_update` real tokens of the sides that
    `count` names, end symbols counted.
    """
    random = np.random.default_rng((seed, epoch))
    sides = 1 if count == "target" else 2
    costs = pair_costs(source_lengths, target_lengths, count)
    blocks_an_update = min(MOST_BLOCKS, -(-tokens_per_update // (BLOCK_TOKENS * sides)))
    blocks = _blocks(source_lengths, target_lengths, costs, tokens_per_update / blocks_an_update, random)
    shuffled = [blocks[i] for i in random.permutation(len(blocks))]
    updates = max(1, round(len(blocks) / blocks_an_update))
    cuts = [len(blocks) * i // updates for i in range(updates + 1)]
    return [shuffled[start:end] for start, end in pairwise(cuts)]


def pair_costs(source_lengths: np.ndarray, target_lengths: np.ndarray, count: Count) -> np.ndarray:
    """Real tokens of each pair that count for an update, end symbols among them."""
    target = target_lengths + 1
    return target if count == "target" else source_lengths + 1 + target


def _blocks(
    source_lengths: np.ndarray,
    target_lengths: np.ndarray,
    costs: np.ndarray,
    block_tokens: float,
    random: np.random.Generator,
) -> list[PairIds]:
    """Pairs sorted by target length, then source length up and down in turn, so that neighbours are similar; ties and
    the first cut are random, so that no two epochs have the same blocks."""
    ties = random.random(len(target_lengths))
    snake = np.where(target_lengths % 2, source_lengths, -source_lengths)
    order = np.lexsort((ties, snake, target_lengths))
    tokens_before = np.cumsum(costs[order]) + random.random() * block_tokens
    number = (tokens_before // block_tokens).astype(np.int64)
    cuts = np.flatnonzero(np.diff(number)) + 1
    return np.split(order, cuts)
