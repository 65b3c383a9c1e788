"""The order of a run's updates: a function of the data, the settings, the seed and the epoch, so that to resume is to
seek in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

from seq2seq.config.schema import TrainerSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared
from seq2seq.data.updates import PairIds, pair_costs, plan_epoch

MEASURED_EPOCHS = 2  # segmentations that the shapes of CUDA graphs are made of


@dataclass(frozen=True)
class PlannedUpdate:
    """The pairs of an update, and where in the data the run is once it is done."""

    corpus: EncodedCorpus
    blocks: Sequence[PairIds]
    epoch: int  # of the update that comes after it
    position: int  # of that update in its epoch
    epochs: float  # gone through, this update included

    @property
    def tokens(self) -> int:
        """Its real target tokens, each target's end included."""
        return sum(int(self.corpus.target_lengths[rows].sum()) + len(rows) for rows in self.blocks)


@dataclass(frozen=True)
class PlannedUpdates:
    """A run's updates, from any place on."""

    data: Prepared
    settings: TrainerSettings
    seed: int

    def an_epoch(self) -> int:
        """About how many updates an epoch has, at least 1."""
        corpus, settings = self.data.corpora["train"], self.settings
        tokens = pair_costs(corpus.source_lengths, corpus.target_lengths, settings.count).sum()
        return max(1, round(int(tokens) / settings.tokens_per_update))

    def after(self, epoch: int, position: int, opened: Callable[[EncodedCorpus], None]) -> Iterator[PlannedUpdate]:
        """The updates from this place on, without end; each epoch's corpus is `opened` before its first update."""
        for number in count(epoch):
            corpus = self.data.train(number)
            opened(corpus)
            plan = self._plan(corpus, number)
            for place in range(position, len(plan)):
                following = (number + 1, 0) if place + 1 == len(plan) else (number, place + 1)
                yield PlannedUpdate(corpus, plan[place], *following, epochs=number + (place + 1) / len(plan))
            position = 0

    def measured(self) -> Iterator[tuple[EncodedCorpus, Sequence[PairIds]]]:
        """Updates as the first epochs are segmented, cut anew as often as needed, for the shapes of CUDA graphs: a
        function of the data and the settings alone."""
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
