"""Batches that become smaller when memory runs out."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.errors import is_out_of_memory, pair_too_large
from seq2seq.runtime.memory import free_caches

T = TypeVar("T")

log = logging.getLogger(__name__)


class FittingBatches:
    """Repeats work on a corpus with batches half as large, until it does not run out of memory; the smaller size stays
    for what follows. Batches come longest first, so too large ones fail early.

    `split` is what messages call the corpus.
    """

    def __init__(self, corpus: EncodedCorpus, split: str, tokens_per_batch: int, device: torch.device) -> None:
        self.corpus = corpus
        self.split = split
        self.tokens_per_batch = tokens_per_batch
        self.device = device

    def __call__(self, work: Callable[[int], T]) -> T:
        """The result of `work`, which takes a number of tokens per batch. Raises OutOfMemoryError, which names the
        longest pair, where not even single pairs fit."""
        before = self.tokens_per_batch
        while True:
            try:
                found = work(self.tokens_per_batch)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.tokens_per_batch == 1:
                    raise self._too_large() from error
            free_caches(self.device)
            self.tokens_per_batch //= 2
        if self.tokens_per_batch < before:
            log.warning(
                "out of memory while decoding %s with trainer.tokens_per_batch=%d: batches have at most %d tokens now",
                *(self.split, before, self.tokens_per_batch),
            )
        return found

    def _too_large(self) -> Exception:
        lengths = self.corpus.source_lengths + self.corpus.target_lengths
        longest = int(lengths.argmax())
        sizes = (int(self.corpus.source_lengths[longest]) + 1, int(self.corpus.target_lengths[longest]) + 1)
        return pair_too_large("decoding", self.split, self.corpus.lines([longest])[0], *sizes)
