"""Repeats one update of a run from the checkpoint before it, to show what in it is not finite; changes nothing."""

import json
import logging
import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint, load
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import effective_settings, read_config
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.errors import CheckpointError, ConfigError, DataError, memory_errors
from seq2seq.logger.base import Recorders, Session
from seq2seq.runtime.distributed import process_group
from seq2seq.training.batch_size import settle_batch_size
from seq2seq.training.nonfinite import as_json, record_file
from seq2seq.training.plan import Planner
from seq2seq.training.planned_updates import PlannedUpdate
from seq2seq.training.setup import build_trainer, data_model_and_objective, prepared_runtime
from seq2seq.training.state import TrainState, saved_state
from seq2seq.training.trainer import Trainer

SHOWN = 20  # names and lines at most
COMPARED = ("processes", "device", "precision", "tokens_per_batch")  # with them other random numbers or rounding

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replayed:
    """A repeated update. `parameters` are those whose gradient is not finite, of `trained` in all; `lines` those of the
    pairs whose loss or gradient, of the pair alone, is not finite, with the loss. `begun_at` is the checkpoint's."""

    update: int
    begun_at: int
    loss: float
    norm: float
    lr: float
    pairs: int
    parameters: list[str]
    trained: int
    lines: dict[int, float]

    def report(self) -> str:
        """A few lines for a reader."""
        start = f"step-{self.begun_at}" if self.begun_at else "the run's beginning"
        numbers = f"loss {self.loss:g}, gradient norm {self.norm:g}, learning rate {self.lr:g}"
        if not self.parameters:
            found = "every gradient is finite"
        elif len(self.parameters) == self.trained:
            found = f"gradients that are not finite: all, of {self.trained} parameters"
        else:
            found = f"gradients that are not finite: {_some(self.parameters)} (of {self.trained} parameters)"
        alone = [f"line {line} (loss {loss:g})" for line, loss in self.lines.items()]
        which = _some(alone) or "none"
        return (
            f"update {self.update}, repeated from {start}: {numbers}, {self.pairs} pairs\n{found}\n"
            f"pairs whose loss or gradient is not finite alone, by their line of the training text: {which}\n"
        )


def replay_command(settings: TrainSettings) -> None:
    """Print the report of the update that `settings.replay` names."""
    with memory_errors("training"):
        found = replay(settings)
    if found is not None:
        print(found.report(), end="")


def replay(settings: TrainSettings) -> Replayed | None:
    """Repeat an update exactly: from the newest checkpoint before it, with the updates between. Nothing is written.

    Several processes share it as in training; the others than the main one have no result. Raises ConfigError,
    CheckpointError and DataError where it cannot be repeated.
    """
    started, folder = time.monotonic(), RunFolder.of(settings.run)
    record = _record(settings, folder)
    number = record["update"]
    with process_group() as world:
        if not folder.exists():
            raise CheckpointError(f"run={settings.run}: there is no run in {folder.path} to repeat an update of")
        checkpoint = _checkpoint_before(folder, number)
        state = saved_state(checkpoint) if checkpoint else TrainState()
        settings = effective_settings(settings, read_config(folder.config_file), state.precision)
        runtime = prepared_runtime(settings, state)
        with world.main_first():
            fresh = checkpoint is None
            data, model, objective = data_model_and_objective(
                settings, folder, runtime, world, fresh=fresh, store=False
            )
        nothing = Recorders(session=Session(folder.path, state.update))
        with closing(data):
            trainer = build_trainer(
                settings, folder, data, model, objective, (), runtime, nothing, world, started, as_command=False
            )
            if checkpoint is not None:
                _restore(trainer, checkpoint, state)
            return Replay(trainer, record).run(number)


def _record(settings: TrainSettings, folder: RunFolder) -> Mapping[str, Any]:
    """The record of the update to repeat, which may be given as a file. A number needs none."""
    assert settings.replay is not None
    by_number = settings.replay.isdecimal()
    path = record_file(folder, int(settings.replay)) if by_number else Path(settings.replay)
    if by_number and not path.exists():
        if int(settings.replay) < 1:
            raise ConfigError("replay=0: updates are counted from 1")
        return {"update": int(settings.replay)}
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"replay: {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"replay: {path} is not JSON: {error}") from error
    match found:
        case {"update": int(number)} if number >= 1:
            return found
    raise DataError(f"replay: {path} is no record of an update: expected an object with its number, 'update'")


def _checkpoint_before(folder: RunFolder, update: int) -> Checkpoint | None:
    """The newest checkpoint before an update; None where the run has none yet, and begins again."""
    saved = folder.steps()
    before = [step for step in saved if step < update]
    if saved and not before:
        log.warning("no checkpoint is left from before update %s: repeating all updates from the first", update)
    return load(folder, f"step-{before[-1]}") if before else None


def _restore(trainer: Trainer, checkpoint: Checkpoint, state: TrainState) -> None:
    """Weights, optimizer and state, as a continued run has them."""
    if state.data != trainer.updates.data.corpora["train"].fingerprint:
        raise DataError(f"run {trainer.folder.name}: the training text has changed since step {checkpoint.step}")
    trainer.groups.restore(checkpoint)
    trainer.state = state
    trainer.schedule.restore(state.schedule)
    trainer.updater.loss_scale.restore(state.loss_scale)


class Replay:
    """Repeats the updates of a restored trainer, which does not save."""

    def __init__(self, trainer: Trainer, record: Mapping[str, Any]) -> None:
        self.trainer = trainer
        self.record = record
        self.updater = trainer.updater

    def run(self, number: int) -> Replayed | None:
        """Repeat update `number`; the result in the main process."""
        trainer, state, updater = self.trainer, self.trainer.state, self.updater
        trainer.strategy.model.train()
        if state.tokens_per_batch is None and trainer.settings.tokens_per_batch == "auto":
            state.tokens_per_batch = self.record.get("tokens_per_batch")
        settle_batch_size(trainer)
        if trainer.settings.cuda_graphs:
            updater.record(trainer.updates)
        Planner(trainer.settings, state, trainer.updates.updates_per_epoch())
        if state.planned:
            trainer.schedule.plan(state.planned)
        self._compare(number)
        begun_at = state.update
        if number > begun_at + 1:
            log.info("repeating updates %d to %d first", begun_at + 1, number - 1)
        updates = trainer.updates.after(state.epoch, state.position, opened=updater.micro_batches.open)
        for update in range(begun_at + 1, number):
            updater(update, next(updates), trainer.schedule.factor(update), _quietly)
        return self._examine(number, next(updates), begun_at)

    def _compare(self, number: int) -> None:
        """Warn where something differs from the update that was recorded."""
        record, trainer = self.record, self.trainer
        lr = self.updater.peak_lr * trainer.schedule.factor(number)
        now = {
            "processes": trainer.world.size,
            "device": trainer.runtime.device.type,
            "precision": trainer.runtime.precision,
            "tokens_per_batch": self.updater.micro_batches.tokens_per_batch,
            "lr": lr,
        }
        changed = [f"{key} was {record[key]}, is {now[key]}" for key in (*COMPARED, "lr") if _differ(record, now, key)]
        if changed and trainer.world.is_main:
            log.warning("update %d is not repeated exactly: %s", number, ", ".join(changed))

    def _examine(self, number: int, planned: PlannedUpdate, begun_at: int) -> Replayed | None:
        """The update's gradients, and then those of each of its pairs."""
        trainer, world = self.trainer, self.trainer.world
        pairs = np.concatenate(planned.blocks)
        if self.record.get("pairs", pairs.tolist()) != pairs.tolist():
            raise DataError(f"replay: the record of update {number} is of other pairs: of another run, or other data")
        factor = trainer.schedule.factor(number)
        sums, _ = self.updater.gradients(number, planned, factor, _quietly)
        model = trainer.strategy.model
        gradients = {name: tensor.grad for name, tensor in model.named_parameters() if tensor.grad is not None}
        bad = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
        norm = float(trainer.strategy.clip_gradients(math.inf))
        total = float(world.all_reduce_sum(sums.total.reshape(1)))
        found = self._pairs_alone(number, planned.corpus, pairs) if world.is_main else {}
        world.barrier()
        if not world.is_main:
            return None
        lr, trained = self.updater.peak_lr * factor, len(gradients)
        loss = total / planned.tokens
        return Replayed(number, begun_at, loss, norm, lr, len(pairs), bad, trained, found)

    def _pairs_alone(self, number: int, corpus: EncodedCorpus, pairs: np.ndarray) -> dict[int, float]:
        """By line, the loss per token of each pair that is not finite alone."""
        updater, model = self.updater, self.trainer.strategy.model
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        found = {}
        for pair in pairs:
            updater.draw(number)
            rows = np.array([pair], np.int64)
            with self.trainer.runtime.autocast():
                total = updater.objective(model, updater.micro_batches.batch(rows, None)).total
            gradients = torch.autograd.grad(total, learning, allow_unused=True)
            finite = [total.isfinite(), *(each.isfinite().all() for each in gradients if each is not None)]
            if not torch.stack(finite).all():
                found[corpus.lines(rows)[0]] = float(total.detach()) / (int(corpus.target_lengths[pair]) + 1)
        return found


def _differ(record: Mapping[str, Any], now: Mapping[str, Any], key: str) -> bool:
    return key in record and record[key] != as_json(now[key])


def _quietly(_: str) -> None:
    """In the place of progress."""


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
