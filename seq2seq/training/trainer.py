"""The training loop: restore; while not done: update, maybe validate, maybe save."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint
from seq2seq.checkpoint.write import mark_best, prune, save, save_validated
from seq2seq.config.schema import TrainerSettings
from seq2seq.errors import CheckpointError, DataError, NonFiniteLossError, Stopped
from seq2seq.logger.base import Recorder
from seq2seq.reporting.progress import Progress
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.runtime.memory import forget_peak, keep_few_kernels
from seq2seq.schedule.base import Schedule
from seq2seq.training.checkpoint_groups import CheckpointGroups
from seq2seq.training.optimizer_step import non_finite
from seq2seq.training.plan import Planner
from seq2seq.training.planned_updates import PlannedUpdate, PlannedUpdates
from seq2seq.training.signals import StopSignal
from seq2seq.training.state import END_OF_SCHEDULE, TrainState, limit_reached, ranked, saved_state
from seq2seq.training.strategy import Strategy
from seq2seq.training.update import Updater
from seq2seq.training.update_metrics import Reporter, UpdateFigures, first_non_finite
from seq2seq.training.validation import Validator


@dataclass
class Trainer:
    """Everything a run needs, and the loop over it.

    Each process of the world has a trainer, and all of them the same state after each update.
    """

    settings: TrainerSettings
    updates: PlannedUpdates
    updater: Updater
    strategy: Strategy
    groups: CheckpointGroups
    schedule: Schedule
    runtime: Runtime
    folder: RunFolder
    recorder: Recorder
    validator: Validator
    world: World
    started: float  # by time.monotonic(), when the session began: to prepare counts, too
    state: TrainState = field(default_factory=TrainState)

    def __post_init__(self) -> None:
        self._minutes_before = self.state.minutes
        self._saved: int | None = None
        self._stops_after = self.state.update
        self._fingerprint, self._valid = (self.updates.data.corpora[split].fingerprint for split in ("train", "valid"))
        self.state.data, self.state.valid = self._fingerprint, self._valid
        self._remember_runtime()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue exactly where `checkpoint` was saved."""
        self.groups.restore(checkpoint)
        self.state = saved_state(checkpoint)
        try:
            self.schedule.restore(self.state.schedule)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"step {checkpoint.step}: its state.json is not of this schedule: {error}") from error
        self._remember_runtime()
        self._minutes_before = self.state.minutes
        if self.state.data != self._fingerprint:
            raise DataError(
                f"run {self.folder.name}: the training text has changed since step {checkpoint.step} was saved; "
                "give it back as it was, or start another run with another name"
            )
        if self.state.valid not in (self._valid, None):
            raise DataError(
                f"run {self.folder.name}: the validation text has changed since step {checkpoint.step} was saved, and "
                "its scores could not be compared; give it back as it was, or start another run from this one: "
                f"init_from={self.folder.path} run=NAME"
            )
        self.state.valid = self._valid
        self._saved = checkpoint.step
        if self.world.is_main and self.state.best_update in self.folder.steps():
            mark_best(self.folder, self.state.best_update)  # a process may have been killed before it could say so

    def _remember_runtime(self) -> None:
        self.state.device, self.state.precision = self.runtime.device.type, self.runtime.precision

    def fit(self) -> str:
        """Train until a limit is reached; returns what ended the run. Raises Stopped after a signal, all saved."""
        self.strategy.model.train()
        if self.settings.cuda_graphs:
            self.updater.record(self.updates)
        settings, state = self.settings, self.state
        state.minutes = self.world.broadcast(self._all_minutes())
        self.planner = Planner(settings, state, self.updates.an_epoch())
        progress = Progress(None, settings.max_minutes, state.update, state.minutes, bar=self.world.is_main)
        self.reporter = Reporter(
            progress=progress, recorder=self.recorder, device=self.runtime.device, world=self.world
        )
        self._follow_plan()
        keep_few_kernels()
        forget_peak(self.runtime.device)
        with progress, StopSignal(self._announce) as self._stop:
            self._validate()  # where the last session was stopped before it could
            updates = self.updates.after(state.epoch, state.position, opened=self.updater.micro_batches.open)
            while self.finished() is None:
                self._update(next(updates))
                signal = self._hear()
                if self.planner.updated():
                    self._follow_plan()
                done = self.finished() is not None
                if self.planner.validation_is_due or done:
                    state.due = state.update
                if self.planner.save_is_due or state.to_validate or done or signal:
                    self._save()
                if signal:
                    self._leave(signal)
                self._validate()
        return self.finished() or ""

    def finished(self) -> str | None:
        """Which limit the run has reached, or None."""
        state = self.state
        ended = not state.to_validate and self.schedule.over(state.update)
        return limit_reached(self.settings, state) or (END_OF_SCHEDULE.format(state.update) if ended else None)

    def _hear(self) -> int:
        """The signal to stop that a process has received, or 0, and into the state the longest time on its clock.

        Both are what all processes have heard, so that all leave the loop after the same update.
        """
        number, minutes = self.world.delayed_max(self._stop.number or 0, self._all_minutes())
        self.state.minutes = max(self.state.minutes, minutes)
        self._stops_after = self.state.update + min(2, self.world.size)  # of several, the answer comes an update later
        return int(number)

    def _announce(self) -> None:
        """Say that a signal has come, and what will be saved. Called in a thread, in the middle of anything."""
        if self.world.is_main:
            self.reporter.progress.note(f"stopping: saving after update {self._stops_after:,}")

    def _leave(self, signal: int) -> NoReturn:
        """End the session; all is saved."""
        self.world.barrier()  # or the first to leave would cut the others short
        raise Stopped(signal, f"stopped by a signal: saved after update {self.state.update}")

    def _follow_plan(self) -> None:
        """The schedule and the bar are laid out for as many updates as are planned, if that is known yet."""
        if self.state.planned is not None:
            self.schedule.plan(self.state.planned)
            if line := self.schedule.too_long_a_warmup():
                self.reporter.progress.warn_once(line)
            limit = self.settings.max_updates
            self.reporter.progress.plan(limit if isinstance(limit, int) else self.state.planned)

    def _update(self, planned: PlannedUpdate) -> None:
        """One optimizer step, and what is known of it: where the run is now, its figures."""
        state, report, busy = self.state, self.planner.report_is_due, self.reporter.progress.busy
        figures = self.updater(state.update + 1, planned, self.schedule.factor(state.update + 1), busy)
        state.update, state.epoch, state.position = figures.update, planned.epoch, planned.position
        if not self.updater.defers:
            self._assure_finite([figures])
        elif report:
            self._assure_finite([*self.reporter.window, figures])
        self.reporter.updated(planned.epochs, figures, report=report)
        if report:
            self.planner.reported()

    def _all_minutes(self) -> float:
        """Of all sessions, this one's so far included."""
        return self._minutes_before + (time.monotonic() - self.started) / 60

    def _assure_finite(self, window: Sequence[UpdateFigures]) -> None:
        """Raise NonFiniteLossError for the first of these updates whose gradient was not finite. Waits for a GPU."""
        if (bad := first_non_finite(window)) is not None:
            (total,) = self.world.all_reduce_sum(bad.sums.total.reshape(1)).tolist()
            loss, saved = total / bad.tokens, self.folder.steps()
            raise NonFiniteLossError(non_finite(bad.update, loss, float(bad.norm), bad.lr, saved))

    def _validate(self) -> None:
        """Score the validation set if that is due; the update is saved already.

        At a signal it is left early, without scores: the next session begins with it.
        """
        state = self.state
        if not state.to_validate:
            return
        self._stops_after = state.update
        self.reporter.progress.busy(f"validation at update {state.update:,}")
        began = self._all_minutes()
        with self.strategy.unwrapped() as model:
            values = self.validator(model, state.update, lambda: self.world.any_nonzero(self._stop.number or 0) > 0)
        if values is not None:
            self._judge(values, self._all_minutes() - began)
        signal = int(self.world.all_reduce_max(self._stop.number or 0))
        if signal and self.finished() is None:
            self._leave(signal)
        self._stops_after = state.update + min(2, self.world.size)

    def _judge(self, values: Mapping[str, float], minutes: float) -> None:
        """What follows from a validation's scores, which took so long: the best checkpoint, the patience left, the
        schedule."""
        state = self.state
        name = self.settings.best_metric
        score, higher, nll = (
            self.validator.as_shown(name, values[name]),
            self.validator.higher_is_better(name),
            values["valid/nll"],
        )
        best = None if state.best_score is None else ranked(state.best_score, higher, state.best_nll)
        better = best is None or ranked(score, higher, nll) > best
        self.schedule.observe(score, higher, nll)
        state.validated = state.update
        state.worse = 0 if better else state.worse + 1
        if better:
            state.best_score, state.best_nll, state.best_update = score, nll, state.update
        state.minutes, minutes = self.world.broadcast((self._all_minutes(), minutes))
        if self.planner.validated(minutes):
            self._follow_plan()
        self.reporter.validated(state.update, values, better)
        if self.world.is_main:
            save_validated(self.folder, state.update, self._state())
            if better:
                mark_best(self.folder, state.update)

    def _save(self) -> None:
        """Write a checkpoint, unless that of this update is there already; the main process does."""
        update, every = self.state.update, self.settings.save_every
        self._assure_finite(self.reporter.window)
        self.planner.saved()
        if self._saved == update:
            return
        groups = self.groups.gather()
        if self.world.is_main:
            save(self.folder, update, groups, self._state())
            prune(self.folder, self.settings.keep_last, every=every if isinstance(every, int) else 1)
        self._saved = update

    def _state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the state."""
        self.state.schedule = self.schedule.state()
        return asdict(self.state)
