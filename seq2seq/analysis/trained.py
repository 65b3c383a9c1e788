"""A trained run, ready to answer: its tokenizer and its model, with the weights of one checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import load_model
from seq2seq.config.identity import run_path
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import TrainSettings
from seq2seq.data.text import with_prefix
from seq2seq.errors import CheckpointError
from seq2seq.model.builder import build_model
from seq2seq.model.ensemble import Ensemble
from seq2seq.model.int8 import to_int8
from seq2seq.model.model import Model
from seq2seq.model.stepwise import Stepwise
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.device import Runtime, choose_runtime, keep_freed_memory


@dataclass(frozen=True)
class Trained:
    """What evaluation and translation work with; `step` is the update the weights are of. `others` are models of other
    runs that answer with this one."""

    folder: RunFolder
    tokenizer: Tokenizer
    model: Model
    runtime: Runtime
    step: int
    others: tuple[Model, ...] = ()

    @property
    def answering(self) -> Stepwise:
        """The model, or all of them as one."""
        return Ensemble([self.model, *self.others]) if self.others else self.model


def load_trained(run: str, settings: TrainSettings, which: str, others: Sequence[str] = ()) -> Trained:
    """The run's model with the weights of checkpoint `which`, in eval mode, and those of the `others` likewise.

    Raises CheckpointError, also where others have another vocabulary or read their sources with another prefix.
    """
    folder = RunFolder(run_path(run))
    runtime = choose_runtime(settings.device, settings.precision)
    keep_freed_memory()
    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    model, step = _load_model(folder, settings, which, tokenizer, runtime)
    beside = tuple(_load_other(name, settings, which, tokenizer, runtime) for name in others)
    return Trained(folder, tokenizer, model, runtime, step, beside)


def _load_model(
    folder: RunFolder, settings: TrainSettings, which: str, tokenizer: Tokenizer, runtime: Runtime
) -> tuple[Model, int]:
    """A run's model with the weights of one checkpoint, and the update that these are of."""
    checkpoint = load(folder, which, average=settings.trainer.average, optimizer=False)
    torch.manual_seed(settings.seed)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    load_model(model, checkpoint.model)
    if runtime.int8:
        to_int8(model)
    return model.to(runtime.device).eval(), checkpoint.step


def _load_other(name: str, settings: TrainSettings, which: str, tokenizer: Tokenizer, runtime: Runtime) -> Model:
    """The model of a run that answers with the one these settings are of."""
    own, folder = load_stored(name, key="ensemble"), RunFolder(run_path(name))
    if Tokenizer.load(folder.tokenizer_folder).fingerprint != tokenizer.fingerprint:
        told = f"ensemble={name} has another vocabulary than run={settings.run}"
        raise CheckpointError(f"{told}: train both with the same data and tokenizer")
    if _source_prefix(own) != _source_prefix(settings):
        raise CheckpointError(f"ensemble={name} has another data.source_prefix than run={settings.run}")
    return _load_model(folder, own, which, tokenizer, runtime)[0]


def as_read(settings: TrainSettings, sources: Sequence[str]) -> list[str]:
    """Sources as the run's model reads them: with its `data.source_prefix` before each."""
    prefix = _source_prefix(settings)
    return [with_prefix(prefix, source) for source in sources]


def _source_prefix(settings: TrainSettings) -> str:
    return settings.data.arguments.get("source_prefix") or ""
