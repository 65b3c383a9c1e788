"""Ours, in turns: python benchmarks/our_training.py WORD..., the words being those of scripts/train.py.

It is the training that scripts/train.py runs, whole. Only, one more recorder counts the tokens of the updates
between two entries (trainer.log_every), and halts the training where a turn is over.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from measuring import gpu_memory
from peers.turns import Pace, Turns
from report import PACKAGES

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare
from seq2seq.data.updates import plan_epoch
from seq2seq.logger.base import Recorder, Session
from seq2seq.training.run import train


class Counts(NamedTuple):
    """Real tokens of an update, end symbols counted."""

    source: int
    target: int


def main() -> None:
    turns = Turns()
    settings = load_train(compose(CONFIGS, "train", sys.argv[1:]))
    data = prepare(data=settings.data(), tokenizer=settings.tokenizer(), length=settings.length, seed=settings.seed)
    updates = planned(settings, data.corpora["train"])
    train(settings, recorders=[partial(MeasuringRecorder, turns, settings.trainer.log_every, updates)])


def planned(settings: TrainSettings, corpus: EncodedCorpus) -> Iterator[Counts]:
    """What each update of the training will hold, one after the other, without an end."""
    for epoch in count():
        plan = plan_epoch(
            corpus.source_lengths,
            corpus.target_lengths,
            seed=settings.seed,
            epoch=epoch,
            tokens_per_update=settings.trainer.tokens_per_update,
            count=settings.trainer.count,
        )
        for blocks in plan:
            pairs = np.concatenate(blocks)
            sides = (corpus.source_lengths, corpus.target_lengths)
            yield Counts(*(int(lengths[pairs].sum()) + len(pairs) for lengths in sides))


class MeasuringRecorder(Recorder):
    """Measures the training between two entries: what is recorded is done."""

    def __init__(self, turns: Turns, log_every: int, updates: Iterator[Counts], *, session: Session) -> None:
        self._turns = turns
        self._log_every = log_every
        self._updates = updates
        self._pace: Pace | None = None

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """The run's own recorders have written them; the first entry says that all is set up."""
        done = list(islice(self._updates, self._log_every))
        if self._pace is None:
            self._turns.ready(*PACKAGES)
            self._pace = Pace(self._turns, gpu_memory)
            self._pace.begin()
            return
        source, target = (sum(counts) for counts in zip(*done, strict=True))
        positions = (source + target) / (1 - values["train/padding"])
        self._pace.updated(len(done), source_tokens=source, target_tokens=target, positions=positions)

    def close(self) -> None:
        """Nothing is held open."""


if __name__ == "__main__":
    main()
