"""A training run from start to end: folder, data, model, loop."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint, latest_intact, load
from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import effective_settings, read_config, write_config
from seq2seq.data.inspection import remarks
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.errors import memory_errors
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.logger.base import Recorder, Recorders, Session
from seq2seq.logger.jsonl import JsonLines
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.optimizer.build import build_optimizer
from seq2seq.runtime.device import Runtime, be_deterministic, keep_freed_memory
from seq2seq.runtime.distributed import World, process_group
from seq2seq.search.limits import target_lines
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint_groups import CheckpointGroups
from seq2seq.training.freezing import freeze
from seq2seq.training.init_from import read_init_from
from seq2seq.training.moving_average import MovingAverage
from seq2seq.training.planned_updates import PlannedUpdates
from seq2seq.training.state import (
    TrainState,
    how_to_continue,
    limit_reached,
    refuse_zero_learning_rate,
    resumed_runtime,
    saved_state,
    schedule_ended,
)
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import choose_strategy
from seq2seq.training.trainer import Trainer
from seq2seq.training.update import Updater
from seq2seq.training.validation import Validator
from seq2seq.training.word_vectors import check_vectors, fill_embeddings

log = logging.getLogger(__name__)


def train(
    settings: TrainSettings,
    *,
    recorders: Sequence[Callable[..., Recorder]] = (),
    step_hooks: Sequence[Callable[[nn.Module], StepHook]] = (),
) -> None:
    """Train the run that `settings` describe, or continue it. Raises Seq2SeqError for errors that a user can correct.

    With several processes, each calls this; only the main one locks the run's folder and writes to it.
    `recorders` are factories of additional recorders, which get the same as the run's own loggers, after them.
    `step_hooks` are factories of step hooks: each is called with the model on its device, and the hook that it returns
    is called after each optimizer step.
    """
    started = time.monotonic()
    folder = RunFolder.of(settings.run)
    with process_group() as world, folder.lock() if world.is_main else nullcontext():
        exists = world.is_main and folder.exists()
        stored = world.broadcast(read_config(folder.config_file) if exists else None)
        checkpoint = _newest_checkpoint(folder, world)
        state = saved_state(checkpoint) if checkpoint else TrainState()
        settings = effective_settings(settings, stored, state.precision)
        limit = (
            (limit_reached(settings.trainer, state) or schedule_ended(settings.schedule, state)) if checkpoint else None
        )
        if limit is not None:
            log.info(
                "run %s is finished: it has reached %s%s",
                folder.path,
                limit,
                how_to_continue(settings.run, settings.schedule, state),
            )
            return
        if checkpoint is not None and not state.to_validate:
            refuse_zero_learning_rate(settings.run, settings.schedule, state)
        runtime = resumed_runtime(settings.run, settings.device, settings.precision, state)
        keep_freed_memory()
        if settings.trainer.deterministic:
            be_deterministic()
        with world.main_first():
            data, model = _data_and_model(settings, folder, world, fresh=checkpoint is None)
        session = Session(folder.path, state.update, state.to_validate)
        makers = [*_loggers(settings), *recorders] if world.is_main else []
        with closing(data), closing(Recorders(session=session, makers=makers)) as recorder:
            trainer = _build_trainer(settings, folder, data, model, step_hooks, runtime, recorder, world, started)
            if checkpoint is None:
                recorder.hyperparameters(_hyperparameters(settings), [settings.trainer.best_metric])
            else:
                trainer.restore(checkpoint)
            if world.is_main:
                _warn_about_data(settings, trainer)
            _fit(trainer)


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


@memory_errors("building the model")
def _data_and_model(settings: TrainSettings, folder: RunFolder, world: World, *, fresh: bool) -> tuple[Prepared, Model]:
    """The data and the model, with its initial or pretrained weights if the run is `fresh`. Also writes to the folder
    what is needed to continue the run."""
    init_from = read_init_from(settings) if fresh else None
    if fresh:
        check_vectors(settings)
    data = _prepare(settings, folder, world, init_from.tokenizer if init_from else None)
    tokenizer = data.tokenizer
    torch.manual_seed(settings.seed)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    freeze(model, settings.freeze)
    if init_from is not None:
        init_from.start(model)
    if fresh:
        fill_embeddings(settings, model, tokenizer)
    if world.is_main:
        write_config(settings, folder.config_file)  # last: a folder with a config.yaml is a run
    return data, model


def _prepare(settings: TrainSettings, folder: RunFolder, world: World, given: Tokenizer | None) -> Prepared:
    """The data, encoded with the `given` tokenizer, or the run's own, or a new one that is trained here."""
    own = Tokenizer.load(folder.tokenizer_folder) if given is None and folder.exists() else None
    data = prepare(
        data=settings.data(),
        tokenizer=settings.tokenizer(),
        length=settings.length,
        seed=settings.seed,
        cache=Path(settings.cache_dir),
        trained=own if given is None else given,
        run=folder.path,
    )
    for line in data.report:
        log.info("%s", line)
    if own is None and world.is_main:
        train, valid = (data.corpora[split] for split in ("train", "valid"))
        for line in remarks(
            train.pairs.texts, valid.pairs.texts, kept=len(train), for_summaries=_for_summaries(settings)
        ):
            log.warning("%s", line)
        with storage_errors(f"write {folder.tokenizer_folder}"):
            data.tokenizer.save(folder.tokenizer_folder)
    return data


def _for_summaries(settings: TrainSettings) -> list[str]:
    """The options for summarization that these settings do not use."""
    names = [name for part in settings.metrics.values() for name in part().names]
    joint = settings.tokenizer.arguments["joint"]
    unused = {
        "metrics=summarization": not any(name.startswith("rouge") for name in names),
        "length.overlong=truncate": settings.length.overlong == "drop",
        "generator=pointer": joint and settings.generator.target is SoftmaxGenerator,
    }
    return [option for option, is_unused in unused.items() if is_unused]


@memory_errors("building the model")
def _build_trainer(
    settings: TrainSettings,
    folder: RunFolder,
    data: Prepared,
    model: Model,
    step_hooks: Sequence[Callable[[nn.Module], StepHook]],
    runtime: Runtime,
    recorder: Recorder,
    world: World,
    started: float,
) -> Trainer:
    valid, max_pairs = data.corpora["valid"], settings.trainer.validate_pairs
    validator = Validator(
        corpus=valid if max_pairs is None else valid.sample(max_pairs),
        tokenizer=data.tokenizer,
        search=settings.search().reading(data.tokenizer.target),
        metrics={name: part() for name, part in settings.metrics.items()},
        runtime=runtime,
        tokens_per_batch=settings.trainer.tokens_per_batch,
        probes=settings.trainer.probes,
        recorder=recorder,
        world=world,
    )
    strategy = choose_strategy(settings.trainer.strategy, model.to(runtime.device), world)
    optimizer = build_optimizer(settings.optimizer, strategy.model)
    hooks = [make(strategy.model) for make in step_hooks]
    if settings.trainer.ema is not None:
        hooks.insert(0, MovingAverage(strategy.model, settings.trainer.ema))
    updater = Updater(
        settings=settings.trainer,
        seed=settings.seed,
        strategy=strategy,
        objective=settings.objective(),
        optimizer=optimizer,
        hooks=hooks,
        runtime=runtime,
        world=world,
    )
    return Trainer(
        settings=settings.trainer,
        updates=PlannedUpdates(data, settings.trainer, settings.seed),
        updater=updater,
        strategy=strategy,
        groups=CheckpointGroups(strategy, optimizer, hooks),
        schedule=settings.schedule(),
        runtime=runtime,
        folder=folder,
        recorder=recorder,
        validator=validator,
        world=world,
        started=started,
    )


def _warn_about_data(settings: TrainSettings, trainer: Trainer) -> None:
    """Warn about length limits and references that would lower the scores of any model."""
    train = trainer.updates.data.corpora["train"]
    lengths = settings.length.max_target, train.source_lengths, train.target_lengths
    for line in target_lines(trainer.validator.search, *lengths):
        log.warning("%s", line)
    trainer.validator.begin()


def _fit(trainer: Trainer) -> None:
    path, update = trainer.folder.path, trainer.state.update
    parameters = [parameter.numel() for parameter in trainer.strategy.model.parameters()]
    trained = [parameter.numel() for parameter in trainer.strategy.model.parameters() if parameter.requires_grad]
    size = f"{sum(parameters) / 1e6:.1f}M parameters"
    if len(trained) < len(parameters):
        size += f", {sum(trained) / 1e6:.1f}M of them trained"
    start = f"continues after update {update}" if update else "begins"
    processes = trainer.world.size
    device = f"{processes} x {trainer.runtime.device.type}" if processes > 1 else str(trainer.runtime.device)
    where = f"{device} in {trainer.runtime.precision}"
    log.info("run %s %s: %s, on %s", path, start, size, where)
    with memory_errors("training"):
        limit = trainer.fit()
    log.info("run %s is finished at %s; best: step-%s", path, limit, trainer.state.best_update)


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
