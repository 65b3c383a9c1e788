"""The training pairs encoded anew for each epoch under sampled segmentation: a function of (seed, epoch, pair)."""

from dataclasses import replace

import numpy as np

from seq2seq.config.schema import LengthSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.tokenizer import Tokenizer
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import RunSplitter
from seq2seq.tokenizer.sampling import Sampler

CHUNK = 4096  # pairs handled at once


class Resampler:
    """Draws a segmentation of every training pair for an epoch, the same one each time it is asked.

    A side whose drawn segmentation is longer than the bounds keeps its usual one, which is not.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        tokenizer: Tokenizer,
        samplers: tuple[Sampler, Sampler],
        length: LengthSettings,
        seed: int,
    ) -> None:
        self.corpus = corpus
        self.splitters = (RunSplitter(tokenizer.source), RunSplitter(tokenizer.target))
        self.samplers = samplers
        self.longest = (length.max_source, length.max_target)
        self.seed = seed

    def encode(self, epoch: int) -> EncodedCorpus:
        """The corpus as this epoch sees it, held in memory and never cached."""
        usual = self.corpus
        sides: list[list[tuple[np.ndarray, np.ndarray]]] = [[], []]
        for start in range(0, len(usual), CHUNK):
            end = min(start + CHUNK, len(usual))
            for side, texts in enumerate((usual.pairs.sources(start, end), usual.pairs.targets(start, end))):
                keys = keys_of(self.seed, epoch, side, count=end - start, first=start)
                runs = self.splitters[side].split(texts)
                sides[side].append(self._bounded(side, start, *self.samplers[side].sample(runs, keys)))
        (source_ids, source_offsets), (target_ids, target_offsets) = map(_joined, sides)
        return replace(
            usual,
            source_ids=source_ids.astype(usual.source_ids.dtype),
            source_offsets=source_offsets,
            target_ids=target_ids.astype(usual.target_ids.dtype),
            target_offsets=target_offsets,
        )

    def _bounded(self, side: int, start: int, ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The drawn ids, with the usual ones in place of those that are too long."""
        too_long = np.flatnonzero(lengths > self.longest[side])
        if not len(too_long):
            return ids, lengths
        rows = np.split(ids, np.cumsum(lengths)[:-1])
        usual = self.corpus.target if side else self.corpus.source
        for row in too_long:
            rows[row] = np.array(usual(start + int(row)), ids.dtype)
        return np.concatenate(rows), np.array([len(row) for row in rows])


def _joined(chunks: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The chunks' ids in a row, and the offset of each text."""
    lengths = np.concatenate([lengths for _, lengths in chunks])
    return np.concatenate([ids for ids, _ in chunks]), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
