"""Starting from another run: its tokenizer and the weights of one of its checkpoints; its optimizer and its counters
stay behind."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq.checkpoint.folder import MODEL, RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.problems import show
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import flatten, run_path, stored_config
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.parameter_names import choose

PARTS = ("position", "normalizer", "attention", "self_attention", "encoder", "pooling", "decoder", "generator")
SHAPING = ("tie", "embedding.size", *PARTS)
OF_TRAINING = ("dropout", ".sampling")  # keys that end so change neither a model's shape nor a tokenizer's pieces

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitFrom:
    """What a new run begins with: another's tokenizer, and `weights` by name, all of which fit; `fresh` do not."""

    told: str
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    fresh: tuple[str, ...]

    def start(self, model: Model) -> None:
        """Copy the weights into a fresh model, which keeps its own where none are given."""
        own = model_tensors(model)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                own[name].copy_(tensor)
        anew = f"; initialised at random: {', '.join(self.fresh)}" if self.fresh else ""
        log.info("starts from the weights and the tokenizer of %s%s", self.told, anew)


def read_init_from(settings: TrainSettings) -> InitFrom | None:
    """What `settings.init_from` offers a model of these settings; None where it is null.

    Raises CheckpointError where that run or its checkpoint cannot be read, ConfigError where its tokenizer is of other
    settings, or its weights do not fit and `init_fresh` does not name them.
    """
    if settings.init_from is None:
        return None
    folder = RunFolder(run_path(settings.init_from))
    stored = stored_config(settings.init_from, key="init_from")
    _check_tokenizer(settings, stored)
    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    try:
        average = settings.trainer.average
        checkpoint = load(folder, settings.init_checkpoint, [MODEL], average=average)
    except CheckpointError as error:
        raise CheckpointError(f"init_from={settings.init_from}: {error}") from error
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    own, given = model_tensors(model), checkpoint.model
    fresh = choose("init_fresh", settings.init_fresh, {**own, **given})
    if problems := _misfits(own, given, fresh, folder.name):
        raise ConfigError(_explain(settings, stored, problems))
    weights = {name: tensor for name, tensor in given.items() if name not in fresh}
    return InitFrom(f"run {folder.path}, step-{checkpoint.step}", tokenizer, weights, tuple(sorted(fresh & own.keys())))


def init_from_problems(settings: TrainSettings) -> list[str]:
    """A line for each key that says how to start from another run where none is named, or another start beside it."""
    if settings.init_from is None:
        given = {"init_fresh": settings.init_fresh != [], "init_checkpoint": settings.init_checkpoint != "best"}
        return [f"{key} applies to init_from, which names no run" for key in given if given[key]]
    embedding = settings.embedding
    vectors = {"source_vectors": embedding.source_vectors, "target_vectors": embedding.target_vectors}
    return [
        f"embedding.{key} and init_from cannot both be given: the embeddings come from that run"
        for key, file in vectors.items()
        if file is not None
    ]


def _check_tokenizer(settings: TrainSettings, stored: Mapping[str, Any]) -> None:
    """The settings under which the tokenizer was trained must be told as they were: config.yaml keeps them."""
    words = _differences(stored, settings.plain, ("tokenizer",))
    if words:
        raise ConfigError(
            f"init_from={settings.init_from}: its tokenizer is reused, and it was trained with other settings than "
            f"these. Give the same: {' '.join(words)}"
        )


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor], fresh: set[str], run: str) -> list[str]:
    """A line for each tensor that has no counterpart of its shape on the other side and is not to start afresh."""
    lines = []
    for name in [*own, *(name for name in given if name not in own)]:
        if name in fresh:
            continue
        if name not in given:
            lines.append(f"{name}: not in run {run}")
        elif name not in own:
            lines.append(f"{name}: in run {run} alone")
        elif own[name].shape != given[name].shape:
            lines.append(f"{name}: {list(given[name].shape)} in run {run}, {list(own[name].shape)} here")
    return lines


def _explain(settings: TrainSettings, stored: Mapping[str, Any], problems: list[str]) -> str:
    """The first misfits, and what to change: settings that differ, or what is to start afresh."""
    shown = problems[:5] + [f"... and {len(problems) - 5} more"] * (len(problems) > 5)
    words = _differences(stored, settings.plain, SHAPING)
    same = f"Give this run the settings of that one ({' '.join(words)}), or initialise" if words else "Initialise"
    head = f"init_from={settings.init_from}: its weights do not fit this model:"
    return "\n  ".join([head, *shown]) + f"\n{same} what does not fit at random: init_fresh=[NAME,...]"


def _differences(stored: Mapping[str, Any], plain: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The words of a command line that would make these keys, and all below them, as they are in `stored`."""
    old, new = flatten(dict(stored)), flatten(dict(plain))
    words = []
    for key in keys:
        if old.get(f"{key}._target_") != new.get(f"{key}._target_"):
            words.append(f"{key}={stored['choices'].get(key, 'custom')}")
            continue
        below = [name for name in old if name == key or name.startswith(f"{key}.")]
        differing = [name for name in below if old[name] != new.get(name) and not name.endswith(OF_TRAINING)]
        words += [f"{name}={_typed(old[name])}" for name in differing]
    return words


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else show(value)
