"""A trained run for inference: its tokenizer and its model, with the weights of one checkpoint."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.checkpoint.folder import MODEL, RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import load_model
from seq2seq.config.loading import load_stored
from seq2seq.config.problems import show
from seq2seq.config.schema import TrainSettings
from seq2seq.data.stored import SIDES
from seq2seq.data.text import with_prefix
from seq2seq.errors import CheckpointError, memory_errors
from seq2seq.inference.activation_ranges import activation_ranges
from seq2seq.model.bounded import bounded_by
from seq2seq.model.builder import build_model
from seq2seq.model.ensemble import Ensemble
from seq2seq.model.model import Model
from seq2seq.model.packing import for_search, to_int8
from seq2seq.model.started import started
from seq2seq.model.stepwise import Stepwise
from seq2seq.runtime.device import Runtime, choose_runtime
from seq2seq.search.outside import OutsideModel
from seq2seq.tokenizer import Tokenizer

log = logging.getLogger(__name__)

_BUILDING = threading.Lock()


@dataclass(frozen=True)
class TrainedModel:
    """A run's model for evaluation and translation; `step` is the update of its weights.

    `search_model` is the model used by search: the model with packed products, an ensemble of it and the models of
    `others` (runs and their steps), or one of another engine; it gives what follows `target_start`, the ids of
    `data.target_prefix`.
    """

    folder: RunFolder
    tokenizer: Tokenizer
    model: Model
    runtime: Runtime
    step: int
    search_model: Stepwise | OutsideModel
    others: dict[str, int]
    target_start: tuple[int, ...] = ()


@memory_errors("loading the checkpoint")
def load_trained(run: str, settings: TrainSettings, which: str, others: Sequence[str] = ()) -> TrainedModel:
    """The run's model with the weights of checkpoint `which`, in eval mode, and those of the `others`.

    Raises CheckpointError, also if others have another vocabulary or another prefix.
    """
    folder = RunFolder.of(run)
    runtime = choose_runtime(settings.device, settings.precision)
    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    average = settings.trainer.average
    model, step, precision = _load_model(folder, settings, which, average, tokenizer, runtime)
    if settings.precision == "auto" and precision not in (runtime.precision, None):
        log.info(
            "%s was trained in %s and runs in %s here (precision=auto); precision=%s is that of its training",
            folder.path,
            precision,
            runtime.precision,
            precision,
        )
    loaded = {name: load_other(name, settings, which, tokenizer, runtime, key="ensemble") for name in others}
    together = Ensemble([model, *(other for other, *_ in loaded.values())]).eval() if loaded else model
    steps = {name: step for name, (_, step, _) in loaded.items()}
    start = tokenizer.target_start(prefix_of(settings, "target"))
    search_model = started(for_search(together, runtime), start)
    return TrainedModel(folder, tokenizer, model, runtime, step, search_model, steps, start)


def _load_model(
    folder: RunFolder, settings: TrainSettings, which: str, average: int, tokenizer: Tokenizer, runtime: Runtime
) -> tuple[Model, int, str | None]:
    """A run's model with the weights of one checkpoint, their update, and the precision of its training."""
    checkpoint = load(folder, which, [MODEL], average=average)
    bounded = bounded_by(checkpoint.model, folder.path)
    with _BUILDING, torch.random.fork_rng(devices=[]), bounded:  # its first weights are drawn, and replaced
        model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    load_model(model, settings.adapter().merged(checkpoint.model))
    if runtime.int8:
        to_int8(model, activation_ranges(folder, settings, model, tokenizer))
    return model.to(runtime.device).eval(), checkpoint.step, checkpoint.state.get("precision")


def load_other(
    name: str, settings: TrainSettings, which: str, tokenizer: Tokenizer, runtime: Runtime, *, key: str
) -> tuple[Model, int, str | None]:
    """The model of another run that reads the same input, the update of its weights, and the precision of its training.

    `key` is the setting that names it. Raises CheckpointError, also if it has another vocabulary or prefix.
    """
    own, folder = load_stored(name, key=key), RunFolder.of(name)
    if Tokenizer.load(folder.tokenizer_folder).fingerprint != tokenizer.fingerprint:
        head = f"{key}={name} has another vocabulary than run={settings.run}"
        raise CheckpointError(f"{head}: train both with the same data and tokenizer")
    for side in SIDES:
        prefixes = prefix_of(own, side), prefix_of(settings, side)
        if prefixes[0] != prefixes[1]:
            theirs, ours = map(show, prefixes)
            head = f"{key}={name} has data.{side}_prefix={theirs}, run={settings.run} has {ours}"
            raise CheckpointError(f"{head}: they would not read the same {'input' if side == 'source' else 'targets'}")
    return _load_model(folder, own, which, settings.trainer.average, tokenizer, runtime)


def as_read(settings: TrainSettings, sources: Sequence[str]) -> list[str]:
    """Sources as the run's model reads them: with its `data.source_prefix` before each."""
    prefix = prefix_of(settings, "source")
    return [with_prefix(prefix, source) for source in sources]


def prefix_of(settings: TrainSettings, side: str) -> str:
    """`data.source_prefix` or `data.target_prefix`, by the side."""
    return settings.data.arguments.get(f"{side}_prefix") or ""
