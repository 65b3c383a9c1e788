"""Run folders and the checkpoints in them: written whole or not at all, verified when read, without pickle."""

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.prune import prune
from seq2seq.checkpoint.read import Checkpoint, latest_intact, load
from seq2seq.checkpoint.storage import replace_file
from seq2seq.checkpoint.weights import load_model, model_tensors
from seq2seq.checkpoint.write import mark_best, save, save_validated

__all__ = [
    "Checkpoint",
    "RunFolder",
    "latest_intact",
    "load",
    "load_model",
    "mark_best",
    "model_tensors",
    "prune",
    "replace_file",
    "save",
    "save_validated",
]
