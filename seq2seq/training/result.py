"""What a training returns to the program that called it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import TrainSettings
from seq2seq.training.state import TrainState


@dataclass(frozen=True)
class TrainResult:
    """A run that has reached one of its limits.

    `run` is its folder, `limit` the limit in words (`trainer.max_updates=200`), `update` the number of updates.
    `begun_at` is the update at which this session began: 0 for a new run; `update` if the run was finished before.
    `best_score` is that of the best checkpoint, `best_update`, by the metric `metric` (trainer.best_metric); both None
    if there was no validation. `minutes` are those of all sessions.
    """

    run: Path
    limit: str
    update: int
    begun_at: int
    metric: str
    best_score: float | None
    best_update: int | None
    minutes: float

    @classmethod
    def of(cls, folder: RunFolder, settings: TrainSettings, state: TrainState, *, limit: str, begun_at: int) -> Self:
        """The result of a session that ended with this state."""
        return cls(
            run=folder.path,
            limit=limit,
            update=state.update,
            begun_at=begun_at,
            metric=settings.trainer.best_metric,
            best_score=state.best_score,
            best_update=state.best_update,
            minutes=state.minutes,
        )
