"""A trained run, ready to answer: its tokenizer and its model, with the weights of one checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import load_model
from seq2seq.config.identity import run_path
from seq2seq.config.schema import TrainSettings
from seq2seq.data.text import with_prefix
from seq2seq.model.builder import build_model
from seq2seq.model.int8 import to_int8
from seq2seq.model.model import Model
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.device import Runtime, choose_runtime, keep_freed_memory


@dataclass(frozen=True)
class Trained:
    """What evaluation and translation work with; `step` is the update the weights are of."""

    folder: RunFolder
    tokenizer: Tokenizer
    model: Model
    runtime: Runtime
    step: int


def load_trained(run: str, settings: TrainSettings, which: str) -> Trained:
    """The run's model with the weights of checkpoint `which`, in eval mode. Raises CheckpointError."""
    folder = RunFolder(run_path(run))
    runtime = choose_runtime(settings.device, settings.precision)
    keep_freed_memory()
    checkpoint = load(folder, which, average=settings.trainer.average, optimizer=False)
    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    torch.manual_seed(settings.seed)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    load_model(model, checkpoint.model)
    if runtime.int8:
        to_int8(model)
    return Trained(folder, tokenizer, model.to(runtime.device).eval(), runtime, checkpoint.step)


def as_read(settings: TrainSettings, sources: Sequence[str]) -> list[str]:
    """Sources as the run's model reads them: with its `data.source_prefix` before each."""
    prefix = settings.data.arguments.get("source_prefix") or ""
    return [with_prefix(prefix, source) for source in sources]
