"""Saving a run: a save that fails is repeated when the next one is due, and three in a row end the run."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.prune import prune
from seq2seq.checkpoint.write import mark_best, save, save_validated
from seq2seq.config.schema import TrainerSettings
from seq2seq.errors import StorageError
from seq2seq.runtime.distributed import World
from seq2seq.training.checkpoint_groups import CheckpointGroups

FAILURES = 3  # saves that fail in a row end the run
PAUSE = 5.0  # seconds before a save is repeated that has no later one in its session
LEAST_KEPT = 2  # checkpoints, whatever trainer.keep_last says: one of them may be damaged

log = logging.getLogger(__name__)

State = Callable[[], dict[str, Any]]  # the run's state as a checkpoint stores it


class Saver:
    """Writes a run's checkpoints, names the best one, and removes those that are not needed any more.

    All processes call its methods; the main one writes. A failure that does not end the run is a warning. `saved` is
    the last update whose checkpoint is stored, in all processes alike.
    """

    def __init__(
        self,
        *,
        folder: RunFolder,
        groups: CheckpointGroups,
        settings: TrainerSettings,
        world: World,
    ) -> None:
        self.folder = folder
        self.groups = groups
        self.settings = settings
        self.world = world
        self.saved: int | None = None
        self._best: int | None = None  # a checkpoint that `best` should name, and does not yet
        self._failures = 0

    def save(self, update: int, state: State, *, last: bool = False) -> None:
        """Write the checkpoint of `update`, unless there is one. `last`: none will follow in this session, so a save
        that fails is repeated at once.

        Raises StorageError when it has failed FAILURES times in a row; `saved` shows whether it has worked.
        """
        if self.saved == update:
            return
        groups = self.groups.gather()
        while self.world.broadcast(self.world.is_main and not self._write(update, groups, state, last)):
            self._failures += 1
            if not last:
                return
            time.sleep(PAUSE)
        self.saved, self._failures = update, 0
        if self.world.is_main:
            self._tidy()

    def validated(self, update: int, state: State, *, better: bool) -> None:
        """Add to the checkpoint of `update` what its validation has changed, and name it the best one if it is
        `better`."""
        if self.world.is_main and self.saved == update:
            self._best = update if better else self._best
            with self._warned():
                save_validated(self.folder, update, state())
            self._mark_best()

    def _write(self, update: int, groups: Mapping[str, Mapping[str, Tensor]], state: State, last: bool) -> bool:
        """Whether the checkpoint could be written. Raises the error of the last failure that is allowed."""
        try:
            save(self.folder, update, groups, state())
        except StorageError as error:
            if self._failures + 1 == FAILURES:
                raise
            then = f"it is tried again in {PAUSE:g} s" if last else "training goes on, and saves again when it is due"
            log.warning("%s (failure %d of %d in a row); %s", error.what, self._failures + 1, FAILURES, then)
            return False
        return True

    def _tidy(self) -> None:
        """Name the best checkpoint, if that has failed before, and remove what is not needed."""
        self._mark_best()
        if self._best is None:  # else it could be removed
            keep, every = max(self.settings.keep_last, LEAST_KEPT), self.settings.save_every
            with self._warned():
                prune(
                    self.folder, keep, keep_best=self.settings.keep_best, every=every if isinstance(every, int) else 1
                )

    def _mark_best(self) -> None:
        if self._best is not None:
            with self._warned():
                mark_best(self.folder, self._best)
                self._best = None

    @contextmanager
    def _warned(self) -> Iterator[None]:
        """A failure in the block does not end the run."""
        try:
            yield
        except StorageError as error:
            log.warning("%s; training goes on", error.what)
