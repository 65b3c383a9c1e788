"""What a training run is built from: its data, its model, and the trainer of both."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.command_line.program import command_line
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import write_config
from seq2seq.data.inspection import remarks
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.errors import memory_errors
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.logger.base import Recorder
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.objective.base import Objective
from seq2seq.optimizer.build import build_optimizer
from seq2seq.runtime.device import Runtime, be_deterministic, keep_freed_memory
from seq2seq.runtime.distributed import World
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.checkpoint_groups import CheckpointGroups
from seq2seq.training.freezing import freeze
from seq2seq.training.init_from import read_init_from
from seq2seq.training.moving_average import MovingAverage
from seq2seq.training.planned_updates import PlannedUpdates
from seq2seq.training.state import TrainState, resumed_runtime
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import choose_strategy
from seq2seq.training.teachers import load_teachers, takes_teachers, teachers_tokenizer
from seq2seq.training.trainer import Trainer
from seq2seq.training.update import Updater
from seq2seq.training.validation import Validator
from seq2seq.training.word_vectors import check_vectors, fill_embeddings

log = logging.getLogger(__name__)


def prepared_runtime(settings: TrainSettings, state: TrainState) -> Runtime:
    """The device and precision of a run that begins or is continued, with the process set up for it."""
    runtime = resumed_runtime(settings.run, settings.device, settings.precision, state)
    keep_freed_memory()
    if settings.trainer.deterministic:
        be_deterministic()
    return runtime


@memory_errors("building the model")
def data_model_and_objective(
    settings: TrainSettings, folder: RunFolder, runtime: Runtime, world: World, *, fresh: bool, store: bool = True
) -> tuple[Prepared, Model, Objective]:
    """The data, the model, with its initial or pretrained weights if the run is `fresh`, and the objective. With
    `store` the main process also writes to the folder what is needed to continue the run."""
    store = store and world.is_main
    init_from = read_init_from(settings) if fresh else None
    if fresh:
        check_vectors(settings)
    given = init_from.tokenizer if init_from else teachers_tokenizer(settings) if fresh else None
    data = _prepare(settings, folder, given, store=store)
    tokenizer = data.tokenizer
    torch.manual_seed(settings.seed)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    settings.adapter().insert(model)
    freeze(model, settings.freeze)
    if init_from is not None:
        init_from.start(model)
    if fresh:
        fill_embeddings(settings, model, tokenizer)
    objective = _objective(settings, data, runtime)
    if store:
        write_config(settings, folder.config_file)  # last: a folder with a config.yaml is a run
    return data, model, objective


def _prepare(settings: TrainSettings, folder: RunFolder, given: Tokenizer | None, *, store: bool) -> Prepared:
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
    if own is None and store:
        train, valid = (data.corpora[split] for split in ("train", "valid"))
        texts, words = (train.pairs.texts, valid.pairs.texts), settings.command
        several = not words or {"-m", "--multirun"} & set(words)
        more = "" if several else command_line("doctor", words)
        for line in remarks(*texts, kept=len(train), for_summaries=_for_summaries(settings), more=more):
            log.warning("%s", line)
        with storage_errors(f"write {folder.tokenizer_folder}"):
            data.tokenizer.save(folder.tokenizer_folder)
    return data


def _objective(settings: TrainSettings, data: Prepared, runtime: Runtime) -> Objective:
    """The objective, with its teachers if it has any, prepared for the training corpus."""
    teachers = {"teachers": load_teachers(settings, data.tokenizer, runtime)} if takes_teachers(settings) else {}
    objective: Objective = settings.objective(**teachers)
    objective.prepare(data.corpora["train"], data.tokenizer)
    return objective


def _for_summaries(settings: TrainSettings) -> list[str]:
    """The options for summarization that these settings do not use; none if the chosen scores are of another task."""
    names = [name for part in settings.metrics.values() for name in part().names]
    if not any(name == "bleu" or name.startswith("rouge") for name in names):
        return []
    joint = settings.tokenizer.arguments["joint"]
    unused = {
        "metrics=summarization": not any(name.startswith("rouge") for name in names),
        "length.overlong=truncate": settings.length.overlong == "drop",
        "generator=pointer": joint and settings.generator.target is SoftmaxGenerator,
    }
    return [option for option, is_unused in unused.items() if is_unused]


@memory_errors("building the model")
def build_trainer(
    settings: TrainSettings,
    folder: RunFolder,
    data: Prepared,
    model: Model,
    objective: Objective,
    step_hooks: Sequence[Callable[[nn.Module], StepHook]],
    runtime: Runtime,
    recorder: Recorder,
    world: World,
    started: float,
    as_command: bool,
) -> Trainer:
    """The trainer of a run, with a new optimizer; `started` is when the session began (time.monotonic())."""
    strategy = choose_strategy(settings.trainer.strategy, model.to(runtime.device), world)
    optimizer = build_optimizer(settings.optimizer, strategy.model)
    hooks = _hooks(settings, strategy.model, step_hooks)
    updater = Updater(
        settings=settings.trainer,
        seed=settings.seed,
        strategy=strategy,
        objective=objective,
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
        validator=_validator(settings, data, runtime, recorder, world),
        world=world,
        started=started,
        as_command=as_command,
    )


def _validator(
    settings: TrainSettings, data: Prepared, runtime: Runtime, recorder: Recorder, world: World
) -> Validator:
    valid, max_pairs = data.corpora["valid"], settings.trainer.validate_pairs
    return Validator(
        corpus=valid if max_pairs is None else valid.sample(max_pairs),
        tokenizer=data.tokenizer,
        search=settings.search().reading(data.tokenizer.target),
        metrics={name: part() for name, part in settings.metrics.items()},
        runtime=runtime,
        tokens_per_batch=settings.trainer.batch_tokens,
        probes=settings.trainer.probes,
        recorder=recorder,
        world=world,
    )


def _hooks(settings: TrainSettings, model: Model, makers: Sequence[Callable[[nn.Module], StepHook]]) -> list[StepHook]:
    """The run's own step hook, if it keeps a moving average, and those of `makers`."""
    own = [] if settings.trainer.ema is None else [MovingAverage(model, settings.trainer.ema)]
    return [*own, *(make(model) for make in makers)]
