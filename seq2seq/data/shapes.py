"""A few shapes to which all micro-batches are padded, so that CUDA graphs are captured once for each.

A batch keeps its pairs: additional columns are padding, additional rows are blank. A blank row has one end symbol as
its source, so that attention has one position, and a target without real tokens.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from seq2seq.data.batches import TokenIds, cut
from seq2seq.data.updates import PairIds
from seq2seq.types import EOS, PAD, Batch

SHAPES = 48  # of Multi30k, 13% of the positions are padding then, in blocks of 8,192 tokens 18%; without, 4% and 10%
MEASURED = 1000  # micro-batches that are examined
NOWHERE = 2.0  # never join blocks: no share of positions can be that large
GROUPS = 200  # of neighbouring sizes, initially


class Shape(NamedTuple):
    """Rows, and columns of source and target, end symbols included."""

    rows: int
    source: int
    target: int

    @property
    def cells(self) -> int:
        """Positions of both sides."""
        return self.rows * (self.source + self.target)

    def holds(self, other: "Shape") -> bool:
        """Whether a batch of the other shape can be padded to this one."""
        return all(own >= needed for own, needed in zip(self, other, strict=True))


def shape_of(corpus: TokenIds, rows: PairIds) -> Shape:
    """The shape of these pairs as one batch."""
    return Shape(len(rows), int(corpus.source_lengths[rows].max()) + 1, int(corpus.target_lengths[rows].max()) + 1)


def shapes_for(
    updates: Iterable[tuple[TokenIds, Sequence[PairIds]]], tokens_per_batch: int, most: int = SHAPES
) -> list[Shape]:
    """At most `most` shapes, such that `cut_to` gives little padding for updates like these, each with the corpus of
    its epoch.

    MEASURED micro-batches of them are examined. They should be of several epochs if one has fewer, because each epoch
    has other blocks.
    """
    sizes = (
        shape_of(corpus, rows)
        for corpus, blocks in updates
        for rows in cut(corpus, blocks, tokens_per_batch, least_real=NOWHERE)
    )
    return few_shapes(np.array([*islice(sizes, MEASURED)]), most)


def few_shapes(sizes: np.ndarray, most: int) -> list[Shape]:
    """Shapes that hold all `sizes` [M 3], by agglomeration: the two that cost least to join are joined, repeatedly. A
    joined shape has the larger size in each dimension; a shape costs its positions times its batches."""
    groups = np.array_split(sizes[np.lexsort(sizes.T)], min(len(sizes), GROUPS))  # by target, then source, then rows
    shapes = np.array([group.max(0) for group in groups])
    counts = np.array([len(group) for group in groups])
    while len(shapes) > most:
        costs = counts * _cells(shapes)
        joined = (counts[:, None] + counts) * _cells(np.maximum(shapes[:, None], shapes))
        more = (joined - costs[:, None] - costs).astype(float)
        np.fill_diagonal(more, np.inf)
        one, other = np.unravel_index(more.argmin(), more.shape)
        shapes[one] = np.maximum(shapes[one], shapes[other])
        counts[one] += counts[other]
        shapes, counts = np.delete(shapes, other, 0), np.delete(counts, other)
    return sorted({Shape(*map(int, shape)) for shape in shapes})


def _cells(shapes: np.ndarray) -> np.ndarray:
    return shapes[..., 0] * (shapes[..., 1] + shapes[..., 2])


def cut_to(
    corpus: TokenIds, blocks: Sequence[PairIds], tokens_per_batch: int, shapes: Sequence[Shape]
) -> list[tuple[PairIds, Shape]]:
    """An update's blocks as micro-batches of these shapes. Blocks are not joined: their sizes are similar, and two of
    them together would need other shapes."""
    batches = cut(corpus, blocks, tokens_per_batch, least_real=NOWHERE)
    return [part for rows in batches for part in fit(corpus, rows, shapes)]


def fit(corpus: TokenIds, rows: PairIds, shapes: Sequence[Shape]) -> list[tuple[PairIds, Shape]]:
    """The pairs of a micro-batch with the smallest shape that fits. If none fits it is halved, and a single pair that
    is too long for all keeps its own shape."""
    own = shape_of(corpus, rows)
    holding = [shape for shape in shapes if shape.holds(own)]
    if holding:
        return [(rows, min(holding, key=lambda shape: shape.cells))]
    if len(rows) == 1:
        return [(rows, own)]
    return [part for half in np.array_split(rows, 2) for part in fit(corpus, half, shapes)]


def padded(batch: Batch, shape: Shape) -> Batch:
    """The batch at this shape."""
    blank = shape.rows - len(batch.source)

    def fill(rows: Tensor, width: int, value: int) -> Tensor:
        return F.pad(rows, (0, width - rows.shape[1], 0, blank), value=value)

    source, mask = fill(batch.source, shape.source, PAD), fill(batch.source_mask, shape.source, False)
    source[len(batch.source) :, 0], mask[len(batch.source) :, 0] = EOS, True
    return Batch(
        source,
        mask,
        fill(batch.target_in, shape.target, PAD),
        fill(batch.target_out, shape.target, PAD),
        fill(batch.target_mask, shape.target, False),
        F.pad(batch.lengths, (0, blank), value=1),
        F.pad(batch.pair_ids, (0, blank), value=-1),
    )
