"""The state of a training run, and whether the run is finished."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from seq2seq.checkpoint.read import Checkpoint
from seq2seq.config.reading import Reader
from seq2seq.config.schema import TrainerSettings
from seq2seq.config.targets import Targets
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.runtime.device import Runtime, choose_runtime
from seq2seq.types import Part

END_OF_SCHEDULE = "the end of its schedule at update {:,}"


@dataclass
class TrainState:
    """What a checkpoint stores of a run in addition to the tensors: counters, the best score, the plan."""

    update: int = 0
    epoch: int = 0
    position: int = 0  # updates done in this epoch
    minutes: float = 0.0  # of all sessions
    best_score: float | None = None
    best_nll: float = math.nan  # of the best validation; it decides between equal scores
    best_update: int | None = None
    ranking: list[float] = field(default_factory=list)  # of the last validation, as `ranked`; older: not stored
    worse: int = 0  # validations since the best one
    due: int | None = None  # the last update after which a validation is due
    validated: int | None = None  # the last update that was validated
    schedule: dict[str, Any] = field(default_factory=dict)
    data: str | None = None  # fingerprint of the training pairs
    device: str | None = None  # cpu or cuda: what device=auto means in this run
    precision: str | None = None  # fp32, bf16 or fp16: what precision=auto means in this run
    valid: str | None = None  # fingerprint of the validation pairs; older versions did not store it
    objective: str | None = None  # fingerprint of what the objective learns from beside the pairs: teachers, links
    planned: int | None = None  # the run's number of updates; None: not known yet
    validate_every: int | None = None  # updates, where the settings leave it to the plan
    validating: float = 0.0  # minutes that the last validation took
    settled: bool = False  # whether a plan made from the measured pace is final
    digest: str = ""  # of the pairs of all updates (PlannedUpdate.digest); "": an older version has begun the run
    skipped: int = 0  # updates whose loss or gradient was not finite
    skipped_in_a_row: int = 0  # the latest of them, without another update since
    tokens_per_batch: int | None = None  # what trainer.tokens_per_batch=auto means in this run
    oom_splits: int = 0  # micro-batches that did not fit into memory, and were split
    loss_scale: dict[str, float] = field(default_factory=dict)  # LossScale.state

    @property
    def to_validate(self) -> bool:
        """Whether a validation is due that has not been done."""
        return self.due is not None and self.due != self.validated

    @property
    def counts(self) -> dict[str, float]:
        """What is logged once there is any of it, by tag."""
        counts = {"train/skipped": float(self.skipped), "train/oom_splits": float(self.oom_splits)}
        counts["train/loss_scale"] = self.loss_scale.get("value", 0.0)
        return {tag: count for tag, count in counts.items() if count}


def ranked(score: float, higher_is_better: bool, nll: float) -> tuple[float, float]:
    """A sort key for validations, larger is better: by score, then by lower negative log-likelihood. NaN is worse than
    any number."""
    signed = (score if higher_is_better else -score, -nll)
    return (-math.inf if math.isnan(signed[0]) else signed[0], -math.inf if math.isnan(signed[1]) else signed[1])


def saved_state(checkpoint: Checkpoint) -> TrainState:
    """The state in a checkpoint; raises CheckpointError if it does not have the fields of TrainState."""
    reader = Reader(Targets())
    reader.section("", TrainState, _finite(checkpoint.state))
    if reader.problems:
        first = reader.problems[0]
        raise CheckpointError(
            f"step {checkpoint.step}: its state.json is broken or of another version: {first.key}: {first.text}"
        )
    return TrainState(**checkpoint.state)


def _finite(value: Any) -> Any:
    """The same value with 0 for NaN and infinity, which scores may be and the reader refuses."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return 0.0 if isinstance(value, float) and not math.isfinite(value) else value


def how_to_continue(run: str, schedule: Part, state: TrainState) -> str:
    """How to train a finished run further: raise its limit or, at the end of its schedule, start another run."""
    end = _end_of_decay(schedule, state)
    if end is None:
        return "; raise that to continue"
    return (
        f", and its learning rate has reached the end of schedule={schedule.name}, which spans {end:,} "
        f"updates: a higher limit would train at {_floor(schedule):g} times optimizer.lr.\nrun=NAME "
        f"init_from={run} trains its weights further on a new schedule; run=NAME "
        f"trainer.max_updates={2 * end} trains from scratch on a schedule twice as long"
    )


def refuse_zero_learning_rate(run: str, schedule: Part, state: TrainState) -> None:
    """Raise ConfigError if the limit of a finished run was raised, but its learning rate would be 0 from now on."""
    if schedule.arguments.get("horizon") and _floor(schedule) == 0 and _end_of_decay(schedule, state):
        raise ConfigError(f"run={run} has reached update {state.update:,}{how_to_continue(run, schedule, state)}")


def _end_of_decay(schedule: Part, state: TrainState) -> int | None:
    """The last update of the schedule's decay, if the run has reached it."""
    if "horizon" not in schedule.arguments:
        return None
    end = schedule.arguments["horizon"] or state.planned
    return end if end and state.update >= end else None


def _floor(schedule: Part) -> float:
    return float(schedule.arguments.get("floor", 0))


def schedule_ended(schedule: Part, state: TrainState) -> str | None:
    """The end of a planned schedule that decays to 0, in words, if the run has reached it."""
    planned = schedule.arguments.get("horizon", 0) is None
    end = _end_of_decay(schedule, state) if planned and _floor(schedule) == 0 and not state.to_validate else None
    return None if end is None else END_OF_SCHEDULE.format(end)


def limit_reached(settings: TrainerSettings, state: TrainState) -> str | None:
    """The first limit that the run has reached, as the key to raise and its value, or None. No limit counts while a
    validation is due."""
    if state.to_validate:
        return None
    updates = settings.max_updates if isinstance(settings.max_updates, int) else None
    limits: list[tuple[str, float | None, float]] = [
        ("trainer.max_updates", updates, state.update),
        ("trainer.max_epochs", settings.max_epochs, state.epoch),
        # The final validation must fit into the time, and is assumed to take as long as the last one. What precedes the
        # first update counts, too, but at least one update is made.
        ("trainer.max_minutes", settings.max_minutes, state.minutes + state.validating if state.update else 0.0),
        ("trainer.patience", settings.patience, state.worse),
    ]
    if updates is None and settings.max_epochs is None:
        limits.append(("trainer.max_updates", state.planned, state.update))
    return next((f"{key}={limit}" for key, limit, at in limits if limit is not None and at >= limit), None)


def resumed_runtime(run: str, device: str, precision: str, state: TrainState) -> Runtime:
    """The device and precision of a run that is continued: auto means what it meant when the run began.

    Raises ConfigError where that device is not available, with the option that moves the run to another.
    """
    resumed = device == "auto" and state.device is not None
    device = state.device if device == "auto" and state.device else device
    precision = state.precision if precision == "auto" and state.precision else precision
    if resumed and device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"run={run} was started on a GPU (device=auto), and no CUDA device is available here; "
            "device=cpu continues without one, with other random numbers and rounding"
        )
    return choose_runtime(device, precision)  # type: ignore[arg-type]
