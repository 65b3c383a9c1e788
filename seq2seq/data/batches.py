"""Shares and micro-batches: cut from an update's blocks, padded into tensors without a loop over tokens or pairs."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from seq2seq.data.updates import PairIds
from seq2seq.types import BOS, EOS, PAD, Batch

# Blocks are joined into one micro-batch while this share of its positions is real. On a GPU fewer and larger ones are
# worth the padding: of Multi30k's updates of 32,768 tokens, 0.8 makes 4.7 with 16% padding, 0.95 makes 12.8.
LEAST_REAL, LEAST_REAL_ON_GPU = 0.95, 0.8
SLIVER = 0.1  # of a block's cost, or of a share's if that is less: smaller parts do not become micro-batches


@runtime_checkable
class TokenIds(Protocol):
    """Flat ids of a corpus: pair i is ids[offsets[i]:offsets[i + 1]] on each side, no end symbols."""

    @property
    def source_ids(self) -> np.ndarray:
        """[tokens]."""

    @property
    def source_offsets(self) -> np.ndarray:
        """[pairs + 1]."""

    @property
    def target_ids(self) -> np.ndarray:
        """[tokens]."""

    @property
    def target_offsets(self) -> np.ndarray:
        """[pairs + 1]."""

    @property
    def source_lengths(self) -> np.ndarray:
        """[pairs]."""

    @property
    def target_lengths(self) -> np.ndarray:
        """[pairs]."""


def share(corpus: TokenIds, blocks: Sequence[PairIds], rank: int, size: int) -> list[PairIds]:
    """The part of an update's blocks for process `rank` of `size`; of a small update perhaps nothing.

    Each pair is in one share, and the shares have nearly the same cost, counted in real tokens of both sides. Blocks
    are in random order, so each share has short sentences and long ones. A cut near the edge of a block is moved to the
    edge, because each part becomes a micro-batch.
    """
    if size == 1:
        return list(blocks)
    pairs = np.concatenate(blocks)
    costs = np.cumsum(corpus.source_lengths[pairs] + corpus.target_lengths[pairs] + 2)
    borders = np.cumsum([len(block) for block in blocks])
    fair = costs[-1] / size * np.arange(1, size)
    near = borders[np.abs(costs[borders - 1] - fair[:, None]).argmin(1)]
    whole = np.abs(costs[near - 1] - fair) <= SLIVER * costs[-1] / max(size, len(blocks))
    cuts = np.concatenate(([0], np.where(whole, near, np.searchsorted(costs, fair, side="right")), [len(pairs)]))
    start, end = cuts[rank], cuts[rank + 1]
    inside = borders[(start < borders) & (borders < end)]
    return np.split(pairs[start:end], inside - start) if start < end else []


def cut(
    corpus: TokenIds, blocks: Sequence[PairIds], tokens_per_batch: int, *, least_real: float = LEAST_REAL
) -> list[PairIds]:
    """An update's blocks as micro-batches of at most `tokens_per_batch` positions: rows x longest side.

    Neighbouring blocks are joined if at least a share of `least_real` of the positions is real then (above 1: never),
    large ones are split. A single pair that is longer than the limit is a batch of its own.
    """
    ordered = sorted(blocks, key=lambda block: int(corpus.target_lengths[block].max()))
    batches: list[PairIds] = []
    for block in ordered:
        joined = np.concatenate((batches[-1], block)) if batches else block
        if batches and _area(corpus, joined) <= tokens_per_batch and _real_share(corpus, joined) >= least_real:
            batches[-1] = joined
        else:
            batches += _split(corpus, block, tokens_per_batch)
    return batches


def _split(corpus: TokenIds, block: PairIds, tokens_per_batch: int) -> list[PairIds]:
    rows = max(1, tokens_per_batch // _longest(corpus, block))
    return np.array_split(block, -(-len(block) // rows))


def _longest(corpus: TokenIds, rows: PairIds) -> int:
    return int(max(corpus.source_lengths[rows].max(), corpus.target_lengths[rows].max())) + 1


def _area(corpus: TokenIds, rows: PairIds) -> int:
    return len(rows) * _longest(corpus, rows)


def _real_share(corpus: TokenIds, rows: PairIds) -> float:
    source, target = corpus.source_lengths[rows] + 1, corpus.target_lengths[rows] + 1
    return float((source.sum() + target.sum()) / (len(rows) * (source.max() + target.max())))


def by_length(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Rows of similar length, longest first, in batches of at most `tokens_per_batch` positions: for evaluation.

    `lengths` are tokens without the end symbol. Longest first, so that a batch too large for memory fails early.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, tokens_per_batch // (int(lengths[order[start]]) + 1))
        yield order[start : start + rows]
        start += rows


def collate(corpus: TokenIds, rows: PairIds) -> Batch:
    """These pairs as one padded batch: sources and targets end with EOS, decoder inputs begin with BOS."""
    source, source_mask = _pad(corpus.source_ids, corpus.source_offsets, rows)
    target, target_mask = _pad(corpus.target_ids, corpus.target_offsets, rows)
    target_in = np.roll(target, 1, axis=1)
    target_in[:, 0] = BOS
    target_in[~target_mask] = PAD
    arrays = (source, source_mask, target_in, target, target_mask, source_mask.sum(1), rows.astype(np.int64))
    return Batch(*(torch.from_numpy(array) for array in arrays))


def collate_sources(sentences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Only sources, as for translation: ids [B S] ending with EOS, and their mask."""
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    flat = np.fromiter((token for sentence in sentences for token in sentence), np.int64, int(offsets[-1]))
    source, mask = _pad(flat, offsets, np.arange(len(sentences)))
    return torch.from_numpy(source), torch.from_numpy(mask)


def _pad(ids: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a flat array as [B L] with EOS after each, and the mask of real positions, EOS among them."""
    starts = np.asarray(offsets[rows])
    lengths = np.asarray(offsets[rows + 1]) - starts
    position = np.arange(int(lengths.max()) + 1)
    text = position < lengths[:, None]
    padded = np.full(text.shape, PAD, dtype=np.int64)
    # The row-major order of `text` is that of the rows' tokens, so one gather fills all rows.
    first = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    padded[text] = ids[first + np.arange(int(lengths.sum()))]
    padded[np.arange(len(rows)), lengths] = EOS
    return padded, position <= lengths[:, None]
