"""Divides updates into micro-batches and moves them to the device."""

from collections.abc import Sequence

import numpy as np
import torch

from seq2seq.data.batches import LEAST_REAL, LEAST_REAL_ON_GPU, TokenIds, collate, cut
from seq2seq.data.resident import ResidentIds, resident_bytes
from seq2seq.data.shapes import Shape, cut_to, fit, padded
from seq2seq.data.updates import PairIds
from seq2seq.types import Batch

SHARE = 0.1  # of a GPU's free memory that a corpus may take


class MicroBatches:
    """Divides updates into micro-batches of at most `tokens_per_batch` positions, and builds these on `device`.

    A corpus that fits is kept on the GPU, so that only the indices of a batch's pairs are copied. With `shapes`,
    micro-batches are padded to these.
    """

    def __init__(self, device: torch.device, tokens_per_batch: int) -> None:
        self.device = device
        self.tokens_per_batch = tokens_per_batch
        self.shapes: Sequence[Shape] = ()

    def open(self, corpus: TokenIds) -> None:
        """Take pairs from this corpus from now on."""
        self._corpus = corpus
        self._resident: ResidentIds | None = None  # free the previous corpus first
        if fits(corpus, self.device):
            self._resident = ResidentIds(corpus, self.device)

    def cut(self, blocks: Sequence[PairIds]) -> list[tuple[PairIds, Shape | None]]:
        """The micro-batches of an update's blocks, each with the shape it is padded to, or None for no more padding
        than its rows need."""
        if self.shapes:
            return [*cut_to(self._corpus, blocks, self.tokens_per_batch, self.shapes)]
        least_real = LEAST_REAL_ON_GPU if self.device.type == "cuda" else LEAST_REAL
        return [(rows, None) for rows in cut(self._corpus, blocks, self.tokens_per_batch, least_real=least_real)]

    def halves(self, rows: PairIds) -> list[tuple[PairIds, Shape | None]]:
        """A micro-batch as two, of more than one pair."""
        parts = np.array_split(rows, 2)
        if self.shapes:
            return [fitting for part in parts for fitting in fit(self._corpus, part, self.shapes)]
        return [(part, None) for part in parts]

    def batch(self, rows: PairIds, shape: Shape | None) -> Batch:
        """These pairs on the device."""
        if self._resident is not None:
            return self._resident.collate(rows, shape)
        batch = collate(self._corpus, rows)
        return (batch if shape is None else padded(batch, shape)).to(self.device)


def fits(corpus: TokenIds, device: torch.device) -> bool:
    """Whether to keep a corpus on the device: a GPU with enough free memory."""
    return device.type == "cuda" and resident_bytes(corpus) <= SHARE * torch.cuda.mem_get_info(device)[0]
