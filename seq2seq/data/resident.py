"""A corpus in device memory: for a batch only the numbers of its pairs are transferred."""

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.data.batches import TokenIds
from seq2seq.data.shapes import Shape, shape_of
from seq2seq.data.updates import PairIds
from seq2seq.types import BOS, EOS, PAD, Batch

NARROW = 0xFFFF


class ResidentIds:
    """The ids of `corpus` on `device`, with `collate` and `padded` computed there by index arithmetic, with shapes
    known from the lengths on the host, so that there is no synchronisation."""

    def __init__(self, corpus: TokenIds, device: torch.device) -> None:
        self.corpus = corpus
        self.device = device
        self._source = _Side(corpus.source_ids, corpus.source_offsets, device)
        self._target = _Side(corpus.target_ids, corpus.target_offsets, device)

    def collate(self, rows: PairIds, shape: Shape | None = None) -> Batch:
        """These pairs as one batch, with their own shape or a larger one."""
        shape = shape or shape_of(self.corpus, rows)
        pairs = self._sent(np.concatenate((rows, np.full(shape.rows - len(rows), -1))).astype(np.int64))
        blank = (pairs < 0).unsqueeze(1)
        source, source_mask = self._source.padded(pairs, shape.source)
        target, target_mask = self._target.padded(pairs, shape.target)
        target, target_mask = target.masked_fill(blank, PAD), target_mask & ~blank
        target_in = target.roll(1, 1)
        target_in[:, 0] = BOS
        target_in = target_in.masked_fill(~target_mask, PAD)
        return Batch(source, source_mask, target_in, target, target_mask, source_mask.sum(1), pairs)

    def _sent(self, numbers: np.ndarray) -> Int[Tensor, " B"]:
        """To a GPU from page-locked memory, so that the copy does not wait for the device."""
        pairs = torch.from_numpy(numbers)
        return pairs.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else pairs


class _Side:
    """Flat ids with one more id, and offsets with one more empty text, for blank rows."""

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, device: torch.device) -> None:
        self.narrow = ids.dtype == np.uint16  # which torch hardly supports: the same bits are sent as int16
        flat = np.append(ids, np.zeros(1, ids.dtype))
        self.ids = torch.from_numpy(flat.view(np.int16) if self.narrow else flat.astype(np.int32)).to(device)
        self.offsets = torch.from_numpy(np.append(offsets, offsets[-1:]).astype(np.int64)).to(device)

    def padded(self, pairs: Int[Tensor, " B"], width: int) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """The texts of these pairs (blank: below 0) with EOS after each, and the mask of real positions."""
        numbers = pairs.masked_fill(pairs < 0, len(self.offsets) - 2)
        starts = self.offsets[numbers].unsqueeze(1)
        lengths = self.offsets[numbers + 1].unsqueeze(1) - starts
        position = torch.arange(width, device=pairs.device)
        ids = self.ids[(starts + position).clamp(max=len(self.ids) - 1)].long()
        ids = ids & NARROW if self.narrow else ids
        ids = ids.masked_fill(position > lengths, PAD).masked_fill(position == lengths, EOS)
        return ids, position <= lengths


def resident_bytes(corpus: TokenIds) -> int:
    """The approximate device memory of `ResidentIds`."""
    ids = sum(len(ids) * (2 if ids.dtype == np.uint16 else 4) for ids in (corpus.source_ids, corpus.target_ids))
    return ids + 8 * (len(corpus.source_offsets) + len(corpus.target_offsets))
