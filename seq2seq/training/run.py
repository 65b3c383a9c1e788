"""A whole training run: folder, data, model, loop."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import latest_intact
from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.identity import read_config, run_path, settle, write_config
from seq2seq.config.schema import TrainSettings
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.optimizer.build import build_optimizer
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.device import Runtime, be_deterministic, choose_runtime, keep_freed_memory, memory_errors
from seq2seq.training.frozen import freeze
from seq2seq.training.logbook import Logbook
from seq2seq.training.origin import read_origin
from seq2seq.training.state import limit_reached, saved_state
from seq2seq.training.trainer import Trainer
from seq2seq.training.validation import Validator
from seq2seq.training.vectors import check_vectors, fill_embeddings

log = logging.getLogger(__name__)


def train(settings: TrainSettings) -> None:
    """Train the run that `settings` describe, or continue it. Raises Seq2SeqError for what a user can mend."""
    folder = RunFolder(run_path(settings.run))
    with folder.lock():
        settings = settle(settings, read_config(folder.config_file) if folder.exists() else None)
        checkpoint = latest_intact(folder)
        limit = limit_reached(settings.trainer, saved_state(checkpoint)) if checkpoint else None
        if limit is not None:
            log.info("run %s is finished: it has reached %s; raise that to go on", folder.path, limit)
            return
        runtime = choose_runtime(settings.device, settings.precision)
        keep_freed_memory()
        if settings.trainer.deterministic:
            be_deterministic()
        data, model = _set_up(settings, folder, fresh=checkpoint is None)
        with closing(Logbook(folder.path, update=checkpoint.step if checkpoint else 0)) as logbook:
            trainer = _assemble(settings, folder, data, model.to(runtime.device), runtime, logbook)
            if checkpoint is None:
                logbook.hyperparameters(_hyperparameters(settings), [settings.trainer.best_metric])
            else:
                trainer.restore(checkpoint)
            _fit(trainer)


def _set_up(settings: TrainSettings, folder: RunFolder, *, fresh: bool) -> tuple[Prepared, Model]:
    """The data and the model; a `fresh` run's has its first weights, and its folder is made self-contained here."""
    origin = read_origin(settings) if fresh else None
    if fresh:
        check_vectors(settings)
    data = _prepare(settings, folder, origin.tokenizer if origin else None)
    tokenizer = data.tokenizer
    torch.manual_seed(settings.seed)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    freeze(model, settings.freeze)
    if origin is not None:
        origin.start(model)
    if fresh:
        fill_embeddings(settings, model, tokenizer)
    write_config(settings, folder.config_file)  # last: a folder with a config.yaml is a run
    return data, model


def _prepare(settings: TrainSettings, folder: RunFolder, given: Tokenizer | None) -> Prepared:
    """The data, with the tokenizer that is given to begin with or else the run's own, where it has one."""
    own = Tokenizer.load(folder.tokenizer_folder) if given is None and folder.exists() else None
    data = prepare(
        data=settings.data(),
        tokenizer=settings.tokenizer(),
        length=settings.length,
        seed=settings.seed,
        trained=own if given is None else given,
    )
    for line in data.report:
        log.info("%s", line)
    if own is None:
        with storage_errors(f"write {folder.tokenizer_folder}"):
            data.tokenizer.save(folder.tokenizer_folder)
    return data


def _assemble(
    settings: TrainSettings, folder: RunFolder, data: Prepared, model: Model, runtime: Runtime, logbook: Logbook
) -> Trainer:
    validator = Validator(
        corpus=data.corpora["valid"],
        tokenizer=data.tokenizer,
        search=settings.search(),
        metrics={name: part() for name, part in settings.metrics.items()},
        runtime=runtime,
        tokens_per_batch=settings.trainer.tokens_per_batch,
        probes=settings.trainer.probes,
        logbook=logbook,
    )
    return Trainer(
        settings=settings.trainer,
        seed=settings.seed,
        model=model,
        objective=settings.objective(),
        optimizer=build_optimizer(settings.optimizer, model),
        schedule=settings.schedule(),
        data=data,
        runtime=runtime,
        folder=folder,
        logbook=logbook,
        validator=validator,
    )


def _fit(trainer: Trainer) -> None:
    path, update = trainer.folder.path, trainer.state.update
    parameters = [parameter.numel() for parameter in trainer.model.parameters()]
    trained = [parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad]
    told = f"{sum(parameters) / 1e6:.1f}M parameters"
    if len(trained) < len(parameters):
        told += f", {sum(trained) / 1e6:.1f}M of them trained"
    begun = f"continues after update {update}" if update else "begins"
    where = f"{trainer.runtime.device} in {trainer.runtime.precision}"
    log.info("run %s %s: %s, on %s", path, begun, told, where)
    with memory_errors("training"):
        limit = trainer.fit()
    log.info("run %s is finished at %s; best: step-%s", path, limit, trainer.state.best_update)


def _hyperparameters(settings: TrainSettings) -> dict[str, Any]:
    """The choices and their settings as 'a.b.c' and value, for TensorBoard's table."""

    def leaves(plain: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in plain.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{key}.")
            elif not key.startswith("_"):
                yield f"{prefix}{key}", value

    return dict(settings.choices) | dict(leaves(settings.plain, ""))
