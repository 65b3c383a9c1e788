"""The order of a run's updates: a function of the data, the settings, the seed and the epoch, so that a run is resumed
at any position."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np

from seq2seq.config.schema import TrainerSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared
from seq2seq.data.updates import PairIds, pair_costs, plan_epoch

MEASURED_EPOCHS = 2  # epochs from whose segmentations the shapes of CUDA graphs are chosen


@dataclass(frozen=True)
class PlannedUpdate:
    """The pairs of an update, and the position in the data after it."""

    corpus: EncodedCorpus
    blocks: Sequence[PairIds]
    epoch: int  # of the next update
    position: int  # of the next update in its epoch
    epochs: float  # done, with a fraction, this update included

    @property
    def tokens(self) -> int:
        """Its target tokens without padding, end symbols included."""
        return sum(int(self.corpus.target_lengths[rows].sum()) + len(rows) for rows in self.blocks)

    def digest(self, before: str) -> str:
        """A hash of all updates so far: of `before`, that of the updates before this one, and of this one's pairs, by
        id and lengths. Under sampled segmentation the lengths differ between epochs."""
        found = hashlib.sha256(before.encode())
        for rows in self.blocks:
            for numbers in (rows, self.corpus.source_lengths[rows], self.corpus.target_lengths[rows]):
                found.update(np.asarray(numbers, "<i8").tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class PlannedUpdates:
    """A run's updates, from any position on."""

    data: Prepared
    settings: TrainerSettings
    seed: int

    def updates_per_epoch(self) -> int:
        """About how many updates an epoch has, at least 1."""
        corpus, settings = self.data.corpora["train"], self.settings
        tokens = pair_costs(corpus.source_lengths, corpus.target_lengths, settings.count).sum()
        return max(1, round(int(tokens) / settings.tokens_per_update))

    def after(self, epoch: int, position: int, opened: Callable[[EncodedCorpus], None]) -> Iterator[PlannedUpdate]:
        """The updates from this position on, without end. `opened` is called with each epoch's corpus, before its
        first update."""
        for number in count(epoch):
            corpus = self.data.train(number)
            opened(corpus)
            plan = self._plan(corpus, number)
            for index in range(position, len(plan)):
                following = (number + 1, 0) if index + 1 == len(plan) else (number, index + 1)
                yield PlannedUpdate(corpus, plan[index], *following, epochs=number + (index + 1) / len(plan))
            position = 0

    def measured(self) -> Iterator[tuple[EncodedCorpus, Sequence[PairIds]]]:
        """Updates without end, from which the shapes of CUDA graphs are chosen: the first epochs' segmentations,
        divided into updates again for each epoch. A function of the data and the settings alone."""
        drawn = cache(self.data.train)
        for epoch in count():
            corpus = drawn(epoch % MEASURED_EPOCHS)
            for blocks in self._plan(corpus, epoch):
                yield corpus, blocks

    def _plan(self, corpus: EncodedCorpus, epoch: int) -> list[list[PairIds]]:
        return plan_epoch(
            corpus.source_lengths,
            corpus.target_lengths,
            seed=self.seed,
            epoch=epoch,
            tokens_per_update=self.settings.tokens_per_update,
            count=self.settings.count,
        )
