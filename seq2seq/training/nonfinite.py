"""Updates whose loss or gradient is not finite: they are skipped, counted and written down, or end the run."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.storage import replace_file
from seq2seq.config.schema import TrainerSettings
from seq2seq.errors import NonFiniteLossError, StorageError
from seq2seq.runtime.distributed import World
from seq2seq.training.planned_updates import PlannedUpdate
from seq2seq.training.state import TrainState
from seq2seq.training.update_metrics import UpdateFigures

NONFINITE = "nonfinite"  # the folder of the records in that of the run
MOST_RECORDS = 100  # that a run has

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computed:
    """An update that was computed: its figures, its pairs, and the epoch and the position in it at which it begins."""

    figures: UpdateFigures
    planned: PlannedUpdate
    epoch: int
    position: int


class NonFiniteUpdates:
    """Examines updates after they were computed; on a GPU many together. All processes find the same ones, because
    each has the gradient of all."""

    def __init__(self, settings: TrainerSettings, seed: int, folder: RunFolder, world: World) -> None:
        self.settings = settings
        self.seed = seed
        self.folder = folder
        self.world = world
        self._unread: list[Computed] = []

    def add(self, computed: Computed) -> None:
        """An update to be examined."""
        self._unread.append(computed)

    def examine(self, state: TrainState) -> None:
        """Examine what was added. An update that is not finite is counted in the run's state, and the main process
        warns and writes its record. Synchronizes with a GPU.

        Raises NonFiniteLossError for the first one with trainer.on_nonfinite=stop, else for trainer.max_skipped in a
        row.
        """
        unread, self._unread = self._unread, []
        for computed in unread:
            if math.isfinite(float(computed.figures.norm)):
                state.skipped_in_a_row = 0
            else:
                state.skipped, state.skipped_in_a_row = state.skipped + 1, state.skipped_in_a_row + 1
                self._found(computed, state)

    def _found(self, computed: Computed, state: TrainState) -> None:
        figures = computed.figures
        sums = self.world.all_reduce_sum(figures.sums.total.reshape(1)).tolist()
        loss, norm = sums[0] / figures.tokens, float(figures.norm)
        steps = [step for step in self.folder.steps() if step < figures.update]
        in_a_row = state.skipped_in_a_row
        if self.settings.on_nonfinite == "stop":
            raise NonFiniteLossError(stopping(figures, loss, steps))
        if self.world.is_main:
            where = self._record(computed, loss, steps, state)
            log.warning(
                "update %s is skipped: its loss is %g and its gradient norm %g. %s; the same command with replay=%s "
                "repeats it",
                *(f"{figures.update:,}", loss, norm, where, figures.update),
            )
        if in_a_row >= self.settings.max_skipped:
            skipped = f"{in_a_row} updates in a row were skipped (trainer.max_skipped), the last one: "
            raise NonFiniteLossError(skipped + stopping(figures, loss, steps))

    def _record(self, computed: Computed, loss: float, steps: Sequence[int], state: TrainState) -> str:
        """Write the update's record; returns in words where its pairs are. A disk that fails does not end the run."""
        path = record_file(self.folder, computed.figures.update)
        if state.skipped > MOST_RECORDS:
            return f"{path.parent} has the pairs of the first {MOST_RECORDS} such updates"
        found = self._contents(computed, loss, steps, state)
        text = json.dumps({key: as_json(value) for key, value in found.items()}, allow_nan=False)
        try:
            if path.parent.is_symlink():
                raise StorageError(f"cannot write {path}: {path.parent} is a link")
            replace_file(path, text + "\n")
        except StorageError as error:
            return f"Its pairs could not be written down ({error.what})"
        return f"{path} has its pairs"

    def _contents(self, computed: Computed, loss: float, steps: Sequence[int], state: TrainState) -> dict[str, Any]:
        figures, planned = computed.figures, computed.planned
        pairs = np.concatenate(planned.blocks)
        return {
            "update": figures.update,
            "checkpoint": steps[-1] if steps else None,
            "epoch": computed.epoch,
            "position": computed.position,
            "seed": self.seed,
            "lr": figures.lr,
            "loss": loss,
            "grad_norm": float(figures.norm),
            "skipped_in_a_row": state.skipped_in_a_row,
            "target_tokens": figures.tokens,
            "tokens_per_batch": state.tokens_per_batch or self.settings.batch_tokens,
            "processes": self.world.size,
            "device": state.device,
            "precision": state.precision,
            "pairs": pairs.tolist(),
            "lines": planned.corpus.lines(pairs),
        }


def record_file(folder: RunFolder, update: int) -> Path:
    """Where the record of a skipped update lies."""
    return folder.path / NONFINITE / f"step-{update}.json"


def as_json(value: Any) -> Any:
    """The value; a number that JSON does not have as text: "nan", "inf", "-inf"."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def stopping(figures: UpdateFigures, loss: float, steps: Sequence[int]) -> str:
    """The error message for an update that ends the run; `steps` are those of the checkpoints before it."""
    kept = f"the last checkpoint is step-{steps[-1]}" if steps else "no checkpoint was saved yet"
    return (
        f"update {figures.update}: the loss is {loss:g} and the gradient norm {float(figures.norm):g}, at learning "
        f"rate {figures.lr:g}; the weights were not changed and {kept}. Try a lower optimizer.lr, a longer "
        f"schedule.warmup, a lower trainer.clip_norm or precision=fp32; the same command with "
        f"replay={figures.update} repeats this update and names the pairs and parameters"
    )
