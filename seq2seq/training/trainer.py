"""The training loop: restore; while not done: update, maybe validate, maybe save."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint
from seq2seq.checkpoint.weights import load_model, model_tensors
from seq2seq.checkpoint.write import mark_best, prune, save
from seq2seq.config.schema import TrainerSettings
from seq2seq.data.batches import collate, cut
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared
from seq2seq.data.updates import PairIds, plan_epoch
from seq2seq.errors import DataError, NonFiniteLossError, Stopped
from seq2seq.model.model import Model
from seq2seq.optimizer.build import set_learning_rate
from seq2seq.optimizer.state import optimizer_tensors, restore_optimizer
from seq2seq.schedule.base import Schedule
from seq2seq.training.device import Runtime
from seq2seq.training.logbook import Logbook
from seq2seq.training.memory import forget_peak, keep_few_kernels
from seq2seq.training.objective import Objective
from seq2seq.training.progress import Progress
from seq2seq.training.reporting import Reporter, UpdateFigures
from seq2seq.training.signals import StopSignal
from seq2seq.training.state import TrainState, limit_reached, saved_state
from seq2seq.training.validation import Validator


@dataclass
class Trainer:
    """Everything a run needs, and the loop over it."""

    settings: TrainerSettings
    seed: int
    model: Model
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    data: Prepared
    runtime: Runtime
    folder: RunFolder
    logbook: Logbook
    validator: Validator
    state: TrainState = field(default_factory=TrainState)

    def __post_init__(self) -> None:
        self._peak_lr = float(self.optimizer.param_groups[0]["lr"])
        self._minutes_before = self.state.minutes
        self._started = time.monotonic()
        self._saved: int | None = None
        self._fingerprint = self.data.corpora["train"].fingerprint
        self.state.data = self._fingerprint

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue exactly where `checkpoint` was saved."""
        load_model(self.model, checkpoint.model)
        restore_optimizer(self.optimizer, self.model, checkpoint.optimizer)
        self.state = saved_state(checkpoint)
        self.schedule.restore(self.state.schedule)
        self._minutes_before = self.state.minutes
        if self.state.data != self._fingerprint:
            raise DataError(
                f"run {self.folder.name}: the training text has changed since step {checkpoint.step} was saved; "
                "give it back as it was, or start another run with another name"
            )
        if self.state.best_update in self.folder.steps():  # a process killed just before it could say so
            mark_best(self.folder, self.state.best_update)

    def fit(self) -> str:
        """Train until a limit is reached; returns what ended the run. Raises Stopped after a signal, all saved."""
        self.model.train()
        settings, state = self.settings, self.state
        progress = Progress(settings.max_updates, settings.max_minutes, state.update, state.minutes)
        self.reporter = Reporter(
            progress=progress, logbook=self.logbook, log_every=settings.log_every, device=self.runtime.device
        )
        keep_few_kernels()
        forget_peak(self.runtime.device)
        with StopSignal() as stop, progress:
            for blocks, corpus in self._updates():
                self._update(blocks, corpus)
                done = self.finished()
                if self._due(settings.validate_every, done):
                    self._validate()
                    done = done or self.finished()
                if self._due(settings.save_every, done) or stop.number is not None:
                    self._save()
                if stop.number is not None and done is None:
                    raise Stopped(stop.number, f"told to stop: saved after update {state.update}")
                if done:
                    break
        return self.finished() or ""

    def finished(self) -> str | None:
        """Which limit the run has reached, or None."""
        return limit_reached(self.settings, self.state)

    def _due(self, every: int, done: str | None) -> bool:
        return self.state.update % every == 0 or done is not None

    def _updates(self) -> Iterator[tuple[Sequence[PairIds], EncodedCorpus]]:
        """The updates from here on; a plan is a function of seed and epoch, so that to resume is to seek in it."""
        while True:
            corpus = self.data.train(self.state.epoch)
            plan = plan_epoch(
                corpus.source_lengths,
                corpus.target_lengths,
                seed=self.seed,
                epoch=self.state.epoch,
                tokens_per_update=self.settings.tokens_per_update,
            )
            for position in range(self.state.position, len(plan)):
                last = position + 1 == len(plan)
                # The state names the update that comes next; it is only saved once this one is done.
                self._next = (self.state.epoch + 1, 0) if last else (self.state.epoch, position + 1)
                self._epochs = self.state.epoch + (position + 1) / len(plan)
                yield plan[position], corpus

    def _update(self, blocks: Sequence[PairIds], corpus: EncodedCorpus) -> None:
        """One optimizer step over all micro-batches of an update; the sums are divided once, by all its tokens."""
        state, began = self.state, time.monotonic()
        torch.manual_seed(self._update_seed(state.update))
        lr = self._peak_lr * self.schedule.factor(state.update + 1)
        set_learning_rate(self.optimizer, lr)
        batches = cut(corpus, blocks, self.settings.tokens_per_batch)
        tokens = sum(int(corpus.target_lengths[rows].sum()) + len(rows) for rows in batches)
        total, nll = torch.zeros(2, dtype=torch.float64, device=self.runtime.device)
        terms: dict[str, Tensor] = defaultdict(lambda: torch.zeros_like(total))
        cells = 0
        for rows in batches:
            batch = collate(corpus, rows)
            cells += batch.source.numel() + batch.target_in.numel()
            with self.runtime.autocast():
                losses = self.objective(self.model, batch.to(self.runtime.device))
            (losses.total / tokens).backward()
            total += losses.total.detach()
            nll += losses.nll
            for name, term in losses.terms.items():
                terms[name] += term.detach()
        norm = self._gradient_norm()
        if not math.isfinite(norm):
            raise NonFiniteLossError(self._non_finite(float(total) / tokens, norm, lr))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.update += 1
        state.epoch, state.position = self._next
        state.minutes = self._all_minutes()
        real = sum(int(corpus.source_lengths[rows].sum()) + len(rows) for rows in batches) + tokens
        figures = UpdateFigures(total, nll, terms, tokens, real, cells, norm, lr, time.monotonic() - began)
        self.reporter.updated(state.update, self._epochs, figures)

    def _all_minutes(self) -> float:
        """Of all sessions, this one's so far included."""
        return self._minutes_before + (time.monotonic() - self._started) / 60

    def _update_seed(self, update: int) -> int:
        """Dropout is a function of (seed, update): what has been drawn before need not be kept to continue."""
        return (self.seed * 1_000_003 + update) % 2**63

    def _gradient_norm(self) -> float:
        """The gradient's norm over all parameters, clipped afterwards if the settings say so."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
        return float(torch.nn.utils.clip_grad_norm_(parameters, limit))

    def _non_finite(self, loss: float, norm: float, lr: float) -> str:
        saved = self.folder.steps()
        kept = f"the last checkpoint is step-{saved[-1]}" if saved else "no checkpoint was saved yet"
        return (
            f"update {self.state.update + 1}: the loss is {loss:g} and its gradient's norm {norm:g}, at learning rate "
            f"{lr:g}; the weights are untouched and {kept}. Try a lower optimizer.lr, a longer schedule.warmup, a "
            "lower trainer.clip_norm or precision=fp32"
        )

    def _validate(self) -> None:
        """Score the validation set, tell the schedule, and remember whether it was the best so far."""
        state = self.state
        if state.validated == state.update:
            return
        values = self.validator(self.model, state.update)
        name = self.settings.best_metric
        score, higher = values[name], self.validator.higher_is_better(name)
        better = state.best_score is None or (score > state.best_score if higher else score < state.best_score)
        self.schedule.observe(score, higher)
        state.validated = state.update
        state.worse = 0 if better else state.worse + 1
        if better:
            state.best_score, state.best_update = score, state.update
        state.minutes = self._all_minutes()
        self.reporter.validated(state.update, values, better)
        if better:
            self._save()
            mark_best(self.folder, state.update)

    def _save(self) -> None:
        """Write a checkpoint, unless this session has just written that of this update."""
        state = self.state
        if self._saved == state.update:
            return
        state.schedule = self.schedule.state()
        save(
            self.folder,
            state.update,
            model=model_tensors(self.model),
            optimizer=optimizer_tensors(self.optimizer, self.model),
            state=asdict(state),
        )
        prune(self.folder, self.settings.keep_last)
        self._saved = state.update
