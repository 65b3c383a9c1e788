"""A training run from start to end: folder, data, model, loop."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any

from torch import nn

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint, latest_intact, load
from seq2seq.checkpoint.write import complete_best
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import effective_settings, read_config
from seq2seq.errors import CheckpointError, ConfigError, memory_errors
from seq2seq.logger.base import Recorder, Recorders, Session
from seq2seq.logger.jsonl import JsonLines
from seq2seq.runtime.distributed import World, process_group
from seq2seq.search.limits import target_lines
from seq2seq.training.batch_size import settle_batch_size
from seq2seq.training.replay import replay_command
from seq2seq.training.result import TrainResult
from seq2seq.training.setup import build_trainer, data_model_and_objective, prepared_runtime
from seq2seq.training.state import (
    TrainState,
    how_to_continue,
    limit_reached,
    refuse_zero_learning_rate,
    saved_state,
    schedule_ended,
)
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.trainer import Trainer

log = logging.getLogger(__name__)


def train_command(settings: TrainSettings) -> None:
    """Train as a command does: the first signal saves and ends the training, and a terminal shows its progress. With
    `replay`, report on one update instead."""
    if settings.replay is None:
        train(settings, as_command=True)
    else:
        replay_command(settings)


def train(
    settings: TrainSettings,
    *,
    recorders: Sequence[Callable[..., Recorder]] = (),
    step_hooks: Sequence[Callable[[nn.Module], StepHook]] = (),
    as_command: bool = False,
) -> TrainResult:
    """Train the run that `settings` describe, or continue it. Raises Seq2SeqError for errors that a user can correct.

    With several processes, each calls this; only the main one locks the run's folder and writes to it.
    `recorders` are factories of additional recorders, which get the same as the run's own loggers, after them.
    `step_hooks` are factories of step hooks: each is called with the model on its device, and the hook that it returns
    is called after each optimizer step. `as_command`: signals and the terminal are ours (train_command).
    """
    if settings.replay is not None:
        raise ConfigError("replay: only the command train repeats an update; leave the key out")
    started = time.monotonic()
    folder = RunFolder.of(settings.run)
    with process_group() as world, folder.lock() if world.is_main else nullcontext():
        exists = world.is_main and folder.exists()
        stored = world.broadcast(read_config(folder.config_file) if exists else None)
        checkpoint = _newest_checkpoint(folder, world)
        state = saved_state(checkpoint) if checkpoint else TrainState()
        if checkpoint is not None and stored is None:
            raise CheckpointError(
                f"run {folder.name} has checkpoints and no config.yaml, so its settings are not known: restore that "
                "file from a copy, or train another run: run=NAME"
            )
        if world.is_main:
            complete_best(folder, state.best_update)
        settings = effective_settings(settings, stored, state.precision)
        if checkpoint is not None and (limit := _limit_before(settings, state, folder)):
            return TrainResult.of(folder, settings, state, limit=limit, begun_at=state.update)
        runtime = prepared_runtime(settings, state)
        with world.main_first():
            fresh = checkpoint is None
            data, model, objective = data_model_and_objective(settings, folder, runtime, world, fresh=fresh)
        session = Session(folder.path, state.update, state.to_validate)
        makers = [*_loggers(settings), *recorders] if world.is_main else []
        with closing(data), closing(Recorders(session=session, makers=makers)) as recorder:
            trainer = build_trainer(
                settings, folder, data, model, objective, step_hooks, runtime, recorder, world, started, as_command
            )
            recorder.hyperparameters(_hyperparameters(settings), [settings.trainer.best_metric])
            if checkpoint is not None:
                trainer.restore(checkpoint)
            if world.is_main:
                _warn_about_data(settings, trainer)
            limit = _fit(trainer)
            return TrainResult.of(folder, settings, trainer.state, limit=limit, begun_at=session.update)


def _limit_before(settings: TrainSettings, state: TrainState, folder: RunFolder) -> str | None:
    """The limit that the run has reached already, which is logged. Raises ConfigError where its learning rate would
    stay 0."""
    limit = limit_reached(settings.trainer, state) or schedule_ended(settings.schedule, state)
    if limit is not None:
        advice = how_to_continue(settings.run, settings.schedule, state)
        log.info("run %s is finished: it has reached %s%s", folder.path, limit, advice)
    elif not state.to_validate:
        refuse_zero_learning_rate(settings.run, settings.schedule, state)
    return limit


@memory_errors("loading the checkpoint")
def _newest_checkpoint(folder: RunFolder, world: World) -> Checkpoint | None:
    """The checkpoint to continue from, or None. Only the main process looks for it, because it cleans up after an
    interrupted save first."""
    if world.is_main:
        checkpoint = latest_intact(folder)
        world.broadcast(checkpoint.step if checkpoint else None)
        return checkpoint
    step = world.broadcast(None)
    return None if step is None else load(folder, f"step-{step}")


def _warn_about_data(settings: TrainSettings, trainer: Trainer) -> None:
    """Warn about length limits and references that would lower the scores of any model."""
    train = trainer.updates.data.corpora["train"]
    before = len(train.target_start)  # which is no part of outputs
    lengths = settings.length.max_target - before, train.source_lengths, train.target_lengths - before
    for line in target_lines(trainer.validator.search, *lengths):
        log.warning("%s", line)
    trainer.validator.begin()


def _fit(trainer: Trainer) -> str:
    """Train until a limit is reached, and return it."""
    path, update = trainer.folder.path, trainer.state.update
    parameters = [parameter.numel() for parameter in trainer.strategy.model.parameters()]
    trained = [parameter.numel() for parameter in trainer.strategy.model.parameters() if parameter.requires_grad]
    size = f"{sum(parameters) / 1e6:.1f}M parameters"
    if len(trained) < len(parameters):
        few = sum(trained) < 100_000
        size += f", {f'{sum(trained):,}' if few else f'{sum(trained) / 1e6:.1f}M'} of them trained"
    start = f"continues after update {update}" if update else "begins"
    processes = trainer.world.size
    device = f"{processes} x {trainer.runtime.device.type}" if processes > 1 else str(trainer.runtime.device)
    where = f"{device} in {trainer.runtime.precision}"
    log.info("run %s %s: %s, on %s", path, start, size, where)
    with memory_errors("training"):
        settle_batch_size(trainer)
        limit = trainer.fit()
    log.info("run %s is finished at %s; best: step-%s", path, limit, trainer.state.best_update)
    return limit


def _loggers(settings: TrainSettings) -> list[Callable[..., Recorder]]:
    """The factories of the run's recorders. JsonLines is always one of them: comparisons and figures read its file."""
    configured = settings.logger.values()
    added = [] if any(part.target is JsonLines for part in configured) else [JsonLines]
    return [*added, *configured]


def _hyperparameters(settings: TrainSettings) -> dict[str, Any]:
    """The choices of the groups and all settings, by dotted key, except those of the loggers."""

    def leaves(plain: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in plain.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{key}.")
            elif not key.startswith("_"):
                yield f"{prefix}{key}", value

    flat = dict(settings.choices) | dict(leaves(settings.plain, ""))
    return {key: value for key, value in flat.items() if key.split(".")[0] != "logger"}
