"""A Hugging Face folder loaded as our model and tokenizer, as a run that starts from it begins."""

from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config import CONFIGS, Script
from seq2seq.config.command_line.check import check
from seq2seq.config.schema import TrainSettings
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import Side
from seq2seq.huggingface.vocabulary import read_sides
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.imported import import_model


@dataclass(frozen=True)
class Loaded:
    """The model, its tokenizer, and each side's pieces as rows of the folder's embeddings."""

    model: Model
    tokenizer: Tokenizer
    source: Side
    target: Side


def imported_settings(path: Path, *words: str) -> TrainSettings:
    """The settings of a training that starts from the folder."""
    script = Script("train", TrainSettings, run=print, folder=CONFIGS)
    settings: TrainSettings = script.load(check(script, [f"init_from=hf:{path}", *words])[1])
    return settings


def load_folder(path: Path, *words: str) -> Loaded:
    """The folder's model in evaluation mode; `words` of the training are added."""
    settings, folder = imported_settings(path, *words), ModelFolder.of(f"hf:{path}")
    assert folder is not None
    tokenizer, given = import_model(settings, folder)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    with torch.no_grad():
        for name, tensor in model_tensors(model).items():
            tensor.copy_(given[name])
    return Loaded(model.eval(), tokenizer, *read_sides(folder))
