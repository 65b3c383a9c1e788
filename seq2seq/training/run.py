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
from seq2seq.optimizer.build import build_optimizer
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.device import Runtime, be_deterministic, choose_runtime, keep_freed_memory, memory_errors
from seq2seq.training.logbook import Logbook
from seq2seq.training.state import limit_reached, saved_state
from seq2seq.training.trainer import Trainer
from seq2seq.training.validation import Validator

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
        data = _prepare(settings, folder)
        with closing(Logbook(folder.path, update=checkpoint.step if checkpoint else 0)) as logbook:
            trainer = _assemble(settings, folder, data, runtime, logbook)
            if checkpoint is None:
                logbook.hyperparameters(_hyperparameters(settings), [settings.trainer.best_metric])
            else:
                trainer.restore(checkpoint)
            _fit(trainer)


def _prepare(settings: TrainSettings, folder: RunFolder) -> Prepared:
    """The data, with the run's own tokenizer where it has one; a new run's folder is made self-contained here."""
    own = Tokenizer.load(folder.tokenizer_folder) if folder.exists() else None
    data = prepare(
        data=settings.data(), tokenizer=settings.tokenizer(), length=settings.length, seed=settings.seed, trained=own
    )
    for line in data.report:
        log.info("%s", line)
    if own is None:
        with storage_errors(f"write {folder.tokenizer_folder}"):
            data.tokenizer.save(folder.tokenizer_folder)
    write_config(settings, folder.config_file)  # last: a folder with a config.yaml is a run
    return data


def _assemble(
    settings: TrainSettings, folder: RunFolder, data: Prepared, runtime: Runtime, logbook: Logbook
) -> Trainer:
    torch.manual_seed(settings.seed)
    tokenizer = data.tokenizer
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    model = model.to(runtime.device)
    validator = Validator(
        corpus=data.corpora["valid"],
        tokenizer=tokenizer,
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
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    begun = f"continues after update {update}" if update else "begins"
    where = f"{trainer.runtime.device} in {trainer.runtime.precision}"
    log.info("run %s %s: %.1fM parameters, on %s", path, begun, parameters / 1e6, where)
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
