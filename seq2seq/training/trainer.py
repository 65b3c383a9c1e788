"""The training loop: restore a checkpoint, then update, save and validate until a limit is reached."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint
from seq2seq.config.schema import TrainerSettings
from seq2seq.errors import CheckpointError, DataError, Stopped
from seq2seq.logger.base import Recorder
from seq2seq.reporting.progress import Progress
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.runtime.memory import keep_few_kernels, reset_peak
from seq2seq.schedule.base import Schedule
from seq2seq.training.checkpoint_groups import CheckpointGroups
from seq2seq.training.nonfinite import Computed, NonFiniteUpdates
from seq2seq.training.plan import Planner
from seq2seq.training.planned_updates import PlannedUpdate, PlannedUpdates
from seq2seq.training.saving import Saver
from seq2seq.training.signals import NoSignals, StopSignal
from seq2seq.training.state import END_OF_SCHEDULE, TrainState, limit_reached, ranked, saved_state
from seq2seq.training.strategy import Strategy
from seq2seq.training.update import Updater
from seq2seq.training.update_metrics import Reporter
from seq2seq.training.validation import Validator


@dataclass
class Trainer:
    """The parts of a training run, and the loop over its updates.

    Each process has a trainer. After each update `state` is the same in all processes. `as_command`: the process is
    there for this run, so signals end it, and a terminal shows a bar.
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
    started: float  # time.monotonic() when the session began; preparing the data is part of it
    as_command: bool = False
    state: TrainState = field(default_factory=TrainState)

    def __post_init__(self) -> None:
        self._minutes_before = self.state.minutes
        self._splits = 0  # of this process's micro-batches, not yet in the state
        self.saver = Saver(folder=self.folder, groups=self.groups, settings=self.settings, world=self.world)
        self._nonfinite = NonFiniteUpdates(self.settings, self.updater.seed, self.folder, self.world)
        corpora = self.updates.data.corpora
        self._train_fingerprint, self._valid_fingerprint = corpora["train"].fingerprint, corpora["valid"].fingerprint
        self.state.data, self.state.valid = self._train_fingerprint, self._valid_fingerprint
        self.state.objective = self.updater.objective.fingerprint
        self._store_runtime()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue exactly where `checkpoint` was saved."""
        self.groups.restore(checkpoint)
        self.state = saved_state(checkpoint)
        try:
            self.schedule.restore(self.state.schedule)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"step {checkpoint.step}: its state.json is not of this schedule: {error}") from error
        try:
            self.updater.loss_scale.restore(self.state.loss_scale)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"step {checkpoint.step}: its state.json has no loss scale: {error}") from error
        self._store_runtime()
        self._minutes_before = self.state.minutes
        if self.state.data != self._train_fingerprint:
            raise DataError(
                f"run {self.folder.name}: the training text has changed since step {checkpoint.step} was saved, or an "
                "older version saved it; give it back as it was, or start another run from this one: "
                f"init_from={self.folder.path} run=NAME"
            )
        if self.state.valid not in (self._valid_fingerprint, None):
            raise DataError(
                f"run {self.folder.name}: the validation text has changed since step {checkpoint.step} was saved, and "
                "its scores could not be compared; give it back as it was, or start another run from this one: "
                f"init_from={self.folder.path} run=NAME"
            )
        if self.state.objective != self.updater.objective.fingerprint:
            raise DataError(
                f"run {self.folder.name}: objective.links or the checkpoint of a teacher has changed since step "
                f"{checkpoint.step} was saved; give it back as it was, or start another run from this one: "
                f"init_from={self.folder.path} run=NAME"
            )
        self.state.valid = self._valid_fingerprint
        self.saver.saved = checkpoint.step

    def _store_runtime(self) -> None:
        self.state.device, self.state.precision = self.runtime.device.type, self.runtime.precision

    def fit(self) -> str:
        """Train until a limit is reached, and return the limit. After a signal: save, then raise Stopped."""
        self.strategy.model.train()
        if self.settings.cuda_graphs:
            self.updater.record(self.updates)
        settings, state = self.settings, self.state
        state.minutes = self.world.broadcast(self._total_minutes())
        self.planner = Planner(settings, state, self.updates.updates_per_epoch())
        bar = self.as_command and self.world.is_main
        progress = Progress(None, settings.max_minutes, state.update, state.minutes, bar=bar)
        self.reporter = Reporter(
            progress=progress, recorder=self.recorder, device=self.runtime.device, world=self.world
        )
        self._apply_plan()
        keep_few_kernels()
        reset_peak(self.runtime.device)
        self._stop_after_updates()
        with progress, self._signals() as self._stop:
            if settings.max_updates == 0 and self.saver.saved is None:
                state.due = 0  # nothing is trained, and the weights that the run begins with are kept
                self._save(last=True)
            self._validate()  # if the last session was stopped before a validation that was due
            updates = self.updates.after(state.epoch, state.position, opened=self.updater.micro_batches.open)
            while self.finished() is None:
                self._update(next(updates))
                signal = self._reduce_signal_and_clock()
                if self.planner.updated():
                    self._apply_plan()
                done = self.finished() is not None
                if self.planner.validation_is_due or done:
                    state.due = self._stops_after = state.update  # a signal during the save will end the validation
                if self.planner.save_is_due or state.to_validate or done or signal:
                    self._save(last=done or signal != 0)
                if signal:
                    self._end_session(signal)
                self._validate()
        return self.finished() or ""

    def _signals(self) -> StopSignal | NoSignals:
        return StopSignal(self._announce) if self.as_command else NoSignals()

    def finished(self) -> str | None:
        """Which limit the run has reached, or None."""
        state = self.state
        ended = not state.to_validate and self.schedule.over(state.update)
        return limit_reached(self.settings, state) or (END_OF_SCHEDULE.format(state.update) if ended else None)

    def _reduce_signal_and_clock(self) -> int:
        """The stop signal that any process has received, or 0. Also sets the state's minutes, to the largest of all.

        Both are all-reduced, so that all processes leave the loop after the same update.
        """
        number, minutes = self.world.delayed_max(self._stop.number or 0, self._total_minutes())
        self.state.minutes = max(self.state.minutes, minutes)
        self._stop_after_updates()
        return int(number)

    def _stop_after_updates(self) -> None:
        """From now on a signal ends the session after the next update; several processes reduce it one update later."""
        self._stops_after = self.state.update + min(2, self.world.size)

    def _announce(self) -> None:
        """Report a signal, and after which update the run will be saved. Called in another thread, at any time."""
        if self.world.is_main:
            self.reporter.progress.note(f"stopping: saving after update {self._stops_after:,}")

    def _end_session(self, signal: int) -> NoReturn:
        """Raise Stopped; everything has been saved."""
        self.world.barrier()  # torchrun ends the other processes as soon as one has ended
        raise Stopped(signal, f"stopped by a signal: saved after update {self.state.update}")

    def _apply_plan(self) -> None:
        """Give the schedule and the progress bar the planned number of updates, if it is known yet."""
        if self.state.planned:
            self.schedule.plan(self.state.planned)
            if line := self.schedule.too_long_a_warmup():
                self.reporter.progress.warn_once(line)
            limit = self.settings.max_updates
            self.reporter.progress.plan(limit if isinstance(limit, int) else self.state.planned)

    def _update(self, planned: PlannedUpdate) -> None:
        """One optimizer step: advances the state, and passes the step's figures to the reporter."""
        state, report, busy = self.state, self.planner.report_is_due, self.reporter.progress.busy
        figures = self.updater(state.update + 1, planned, self.schedule.factor(state.update + 1), busy)
        self._nonfinite.add(Computed(figures, planned, state.epoch, state.position))
        state.update, state.epoch, state.position = figures.update, planned.epoch, planned.position
        state.digest = planned.digest(state.digest)
        self._splits += figures.splits
        state.loss_scale = self.updater.loss_scale.state()
        if report or not self.updater.defers:
            self._examine()
        self.reporter.updated(planned.epochs, figures, report=report, counts=state.counts)
        if report:
            self.planner.reported()

    def _total_minutes(self) -> float:
        """Minutes of training in all sessions, including this one so far."""
        return self._minutes_before + (time.monotonic() - self.started) / 60

    def _examine(self) -> None:
        """Count the updates since the last call that are not finite, or raise NonFiniteLossError, and the micro-batches
        that were split. All processes call it. Synchronizes with a GPU."""
        self._nonfinite.examine(self.state)
        splits, self._splits = torch.tensor([self._splits], dtype=torch.float64), 0
        self.state.oom_splits += int(self.world.all_reduce_sum(splits))

    def _validate(self) -> None:
        """Score the validation set if that is due; the update has already been saved.

        A signal aborts it, without scores: the next session repeats it first.
        """
        state = self.state
        if not state.to_validate:
            return
        self._stops_after = state.update
        self.reporter.progress.busy(f"validation at update {state.update:,}")
        began = self._total_minutes()
        with self.strategy.unwrapped() as model, self.groups.in_validation(model):
            values = self.validator(model, state.update, lambda: self.world.any_nonzero(self._stop.number or 0) > 0)
        if values is not None:
            self._process_scores(values, self._total_minutes() - began)
        signal = int(self.world.all_reduce_max(self._stop.number or 0))
        if signal and self.finished() is None:
            self._end_session(signal)
        self._stop_after_updates()

    def _process_scores(self, values: Mapping[str, float], minutes: float) -> None:
        """Update the best checkpoint, patience, schedule and plan from a validation that took this many minutes."""
        state = self.state
        name = self.settings.best_metric
        score, higher, nll = (
            self.validator.as_shown(name, values[name]),
            self.validator.higher_is_better(name),
            values["valid/nll"],
        )
        best = None if state.best_score is None else ranked(state.best_score, higher, state.best_nll)
        ranking = ranked(score, higher, nll)
        better = best is None or ranking > best
        self.schedule.observe(score, higher, nll)
        state.validated, state.ranking = state.update, list(ranking)
        state.worse = 0 if better else state.worse + 1
        self.saver.save(state.update, self._state_dict)  # if that has failed before the validation
        if better and self.saver.saved == state.update:
            state.best_score, state.best_nll, state.best_update = score, nll, state.update
        state.minutes, minutes = self.world.broadcast((self._total_minutes(), minutes))
        if self.planner.validated(minutes):
            self._apply_plan()
        self.reporter.validated(state.update, values, better)
        self.saver.validated(state.update, self._state_dict, better=better)

    def _save(self, *, last: bool) -> None:
        """Write a checkpoint, unless this update has one. All processes call this; the main one writes. `last`: the
        session ends here, so it must be written."""
        self._examine()
        self.planner.saved()
        self.saver.save(self.state.update, self._state_dict, last=last)

    def _state_dict(self) -> dict[str, Any]:
        """The state as a checkpoint stores it, with the schedule's."""
        self.state.schedule = self.schedule.state()
        return asdict(self.state)
