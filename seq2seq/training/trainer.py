"""The training loop: restore; while not done: update, maybe validate, maybe save."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import count
from typing import Any, NoReturn

import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint
from seq2seq.checkpoint.weights import load_model, model_tensors
from seq2seq.checkpoint.write import mark_best, prune, save, save_validated
from seq2seq.config.schema import TrainerSettings
from seq2seq.data.batches import share
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared
from seq2seq.data.shapes import shapes_for
from seq2seq.data.updates import PairIds, pair_costs, plan_epoch
from seq2seq.errors import CheckpointError, DataError, NonFiniteLossError, Stopped
from seq2seq.logger.base import Recorder
from seq2seq.model.model import Model
from seq2seq.objective.base import Objective
from seq2seq.optimizer.build import set_learning_rate
from seq2seq.optimizer.state import optimizer_tensors, restore_optimizer
from seq2seq.reporting.progress import Progress
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.runtime.memory import forget_peak, keep_few_kernels
from seq2seq.runtime.stopwatch import Stopwatch
from seq2seq.schedule.base import Schedule
from seq2seq.training.cuda_graphs import graphed
from seq2seq.training.forward_backward import ForwardBackward, seed_of
from seq2seq.training.micro_batches import MicroBatches
from seq2seq.training.optimizer_step import OptimizerStep, holds_back, non_finite
from seq2seq.training.plan import Planner
from seq2seq.training.signals import StopSignal
from seq2seq.training.state import END_OF_SCHEDULE, TrainState, limit_reached, ranked, saved_state
from seq2seq.training.strategy import Strategy
from seq2seq.training.update_metrics import Reporter, Sums, UpdateFigures
from seq2seq.training.validation import Validator

MEASURED_EPOCHS = 2  # segmentations that the shapes of CUDA graphs are made of


@dataclass
class Trainer:
    """Everything a run needs, and the loop over it.

    Each process of the world has a trainer, and all of them the same state after each update.
    """

    settings: TrainerSettings
    seed: int
    model: Model
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    data: Prepared
    runtime: Runtime
    folder: RunFolder
    recorder: Recorder
    validator: Validator
    strategy: Strategy
    world: World
    started: float  # by time.monotonic(), when the session began: to prepare counts, too
    state: TrainState = field(default_factory=TrainState)

    def __post_init__(self) -> None:
        self._peak_lr = float(self.optimizer.param_groups[0]["lr"])
        self._minutes_before = self.state.minutes
        self._saved: int | None = None
        self._stops_after = self.state.update
        self.micro_batches = MicroBatches(self.runtime.device, self.settings.tokens_per_batch)
        self.forward_backward = ForwardBackward(self.strategy, self.objective, self.runtime)
        defers = self.runtime.device.type == "cuda" and holds_back(self.optimizer)
        self.step = OptimizerStep(self.model, self.optimizer, self.settings.clip_norm, defers=defers)
        self._unassured: list[tuple[int, UpdateFigures]] = []
        self._fingerprint, self._valid = (self.data.corpora[split].fingerprint for split in ("train", "valid"))
        self.state.data, self.state.valid = self._fingerprint, self._valid

        self._remember_runtime()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue exactly where `checkpoint` was saved."""
        load_model(self.model, checkpoint.model)
        restore_optimizer(self.optimizer, self.model, checkpoint.optimizer)
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
        self.model.train()
        if self.settings.cuda_graphs:
            self._record()
        settings, state = self.settings, self.state
        state.minutes = self.world.broadcast(self._all_minutes())
        self.planner = Planner(settings, state, self._updates_an_epoch())
        progress = Progress(None, settings.max_minutes, state.update, state.minutes, bar=self.world.is_main)
        self.reporter = Reporter(
            progress=progress, recorder=self.recorder, device=self.runtime.device, world=self.world
        )
        self._follow_plan()
        keep_few_kernels()
        forget_peak(self.runtime.device)
        with progress, StopSignal(self._announce) as self._stop:
            self._validate()  # where the last session was stopped before it could
            updates = self._updates()
            while self.finished() is None:
                self._update(*next(updates))
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

    def _record(self) -> None:
        """From here on replay CUDA graphs, at shapes that are a function of the data and the settings alone: of the
        first epochs as they are segmented. Where these are few micro-batches, they are cut anew as often as needed."""
        drawn = cache(self.data.train)
        epochs = ((epoch, drawn(epoch % MEASURED_EPOCHS)) for epoch in count())
        updates = ((corpus, blocks) for epoch, corpus in epochs for blocks in self._plan(corpus, epoch))
        self.micro_batches.shapes = shapes_for(updates, self.settings.tokens_per_batch)
        self.forward_backward, self.step = graphed(self.forward_backward, self.step, self.micro_batches.shapes)

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

    def _updates_an_epoch(self) -> int:
        corpus, settings = self.data.corpora["train"], self.settings
        tokens = pair_costs(corpus.source_lengths, corpus.target_lengths, settings.count).sum()
        return max(1, round(int(tokens) / settings.tokens_per_update))

    def _follow_plan(self) -> None:
        """The schedule and the bar are laid out for as many updates as are planned, if that is known yet."""
        if self.state.planned is not None:
            self.schedule.plan(self.state.planned)
            if line := self.schedule.too_long_a_warmup():
                self.reporter.progress.warn_once(line)
            limit = self.settings.max_updates
            self.reporter.progress.plan(limit if isinstance(limit, int) else self.state.planned)

    def _updates(self) -> Iterator[tuple[Sequence[PairIds], EncodedCorpus]]:
        """The updates from here on; a plan is a function of seed and epoch, so that to resume is to seek in it."""
        while True:
            corpus = self.data.train(self.state.epoch)
            self.micro_batches.open(corpus)
            plan = self._plan(corpus, self.state.epoch)
            for position in range(self.state.position, len(plan)):
                last = position + 1 == len(plan)
                # The state names the update that comes next; it is only saved once this one is done.
                self._next = (self.state.epoch + 1, 0) if last else (self.state.epoch, position + 1)
                self._epochs = self.state.epoch + (position + 1) / len(plan)
                yield plan[position], corpus

    def _plan(self, corpus: EncodedCorpus, epoch: int) -> list[list[PairIds]]:
        return plan_epoch(
            corpus.source_lengths,
            corpus.target_lengths,
            seed=self.seed,
            epoch=epoch,
            tokens_per_update=self.settings.tokens_per_update,
            count=self.settings.count,
        )

    def _update(self, blocks: Sequence[PairIds], corpus: EncodedCorpus) -> None:
        """One optimizer step; the sums over all pairs of the update are divided once, by all its tokens."""
        state, stopwatch = self.state, Stopwatch(self.runtime.device)
        report = self.planner.report_is_due
        torch.manual_seed(seed_of(self.seed, state.update, self.world.rank))
        self.forward_backward.begin(seed_of(self.seed, state.update, rank=0))
        lr = self._peak_lr * self.schedule.factor(state.update + 1)
        set_learning_rate(self.optimizer, lr)
        tokens = sum(int(corpus.target_lengths[rows].sum()) + len(rows) for rows in blocks)
        sums = self._add_gradients(blocks, corpus, tokens)
        norm = self.step()
        stopwatch.stop()
        figures = UpdateFigures(sums, tokens, norm, lr, stopwatch)
        state.update += 1
        state.epoch, state.position = self._next
        self._unassured.append((state.update, figures))
        if not self.step.defers or report:
            self._assure_finite()
        self.reporter.updated(state.update, self._epochs, figures, report=report)
        if report:
            self.planner.reported()

    def _add_gradients(self, blocks: Sequence[PairIds], corpus: EncodedCorpus, tokens: int) -> Sums:
        """The gradients of a share of the update, micro-batch by micro-batch, and then of all processes' shares."""
        own = share(corpus, blocks, self.world.rank, self.world.size)
        # Where nothing is left for this process, it takes part all the same, with a pair that counts for nothing.
        weight, own = (1, own) if own else (0, [blocks[0][:1]])
        batches = self.micro_batches.cut(own)
        sums = Sums(self.runtime.device)
        for number, (rows, shape) in enumerate(batches, start=1):
            self.reporter.progress.busy(f"update {self.state.update + 1:,}, micro-batch {number} of {len(batches)}")
            batch = self.micro_batches.batch(rows, shape)
            losses = self.forward_backward(batch, weight, tokens, last=number == len(batches))
            real = int(corpus.source_lengths[rows].sum() + corpus.target_lengths[rows].sum()) + 2 * len(rows)
            sums.add(losses, weight, real=real, cells=batch.source.numel() + batch.target_in.numel())
        return sums

    def _all_minutes(self) -> float:
        """Of all sessions, this one's so far included."""
        return self._minutes_before + (time.monotonic() - self.started) / 60

    def _assure_finite(self) -> None:
        """Raise NonFiniteLossError for the first update since this was last asked whose gradient was no number."""
        refused = self.step.refused()
        if refused is not None:
            number, figures = self._unassured[refused]
            (total,) = self.world.all_reduce_sum(figures.sums.total.reshape(1)).tolist()
            loss, saved = total / figures.tokens, self.folder.steps()
            raise NonFiniteLossError(non_finite(number, loss, float(figures.norm), figures.lr, saved))
        self._unassured.clear()

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
        values = self.validator(self.model, state.update, lambda: self.world.any_nonzero(self._stop.number or 0) > 0)
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
        state = self.state
        self._assure_finite()
        self.planner.saved()
        if self._saved == state.update or not self.world.is_main:
            return
        save(
            self.folder,
            state.update,
            model=model_tensors(self.model),
            optimizer=optimizer_tensors(self.optimizer, self.model),
            state=self._state(),
        )
        prune(
            self.folder,
            self.settings.keep_last,
            every=self.settings.save_every if isinstance(self.settings.save_every, int) else 1,
        )
        self._saved = state.update

    def _state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the state."""
        self.state.schedule = self.schedule.state()
        return asdict(self.state)
