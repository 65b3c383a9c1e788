"""Sampled segmentation, our own: SentencePiece's cannot be seeded reproducibly across processes.

A text's sample is a function of its key, independent of other texts.
"""

from abc import ABC, abstractmethod

import numpy as np

from seq2seq.tokenizer.draws import keys_below
from seq2seq.tokenizer.runs import Runs, pieces_of
from seq2seq.tokenizer.vocabulary import Vocabulary


class Sampler(ABC):
    """Samples a segmentation of each text; for `strength` see SentencePiece.sampling."""

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        self.strength = strength
        self.pieces = pieces_of(vocabulary)

    def sample(self, runs: Runs, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The texts' concatenated ids (int32), and the length of each (int64); `keys` [texts] are those of draws.py."""
        counts = np.diff(runs.ends)
        place = np.arange(len(runs.numbers)) - np.repeat(runs.ends[:-1], counts)
        ids, lengths = self._segment(runs, keys_below(np.repeat(keys, counts), place))
        id_ends = np.concatenate([[0], np.cumsum(lengths)])
        return ids, np.diff(id_ends[runs.ends])

    @abstractmethod
    def _segment(self, runs: Runs, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The concatenated ids of `runs.numbers`, and the length of each; `keys` has one for each."""
