"""Starting from another run: from its tokenizer and the weights of one of its checkpoints, without its optimizer state
and counters; or from those of a Hugging Face model folder."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq.adapter.base import Adapter
from seq2seq.adapter.none import NoAdapter
from seq2seq.checkpoint.folder import MODEL, RunFolder
from seq2seq.checkpoint.read import label, load
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.loading import load_stored
from seq2seq.config.problems import show
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import flatten, stored_config
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.model.parameter_names import choose
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.imported import import_model

PARTS = (
    "position",
    "normalizer",
    "attention",
    "self_attention",
    "feed_forward",
    "layer_norm",
    "encoder",
    "pooling",
    "decoder",
    "generator",
)
SHAPING = ("tie", "embedding.size", *PARTS)
OF_TRAINING = (
    "dropout",
    ".layer_drop",
    ".sampling",
)  # keys that end so change neither a model's shape nor a tokenizer's pieces

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitFrom:
    """What a new run begins with: a tokenizer and `weights` by name, all of which fit the new model. Tensors named in
    `fresh` are initialised at random. `origin` says where they are from."""

    origin: str
    tokenizer: Tokenizer
    weights: Mapping[str, Tensor]
    fresh: tuple[str, ...]

    def start(self, model: Model) -> None:
        """Copy the weights into a new model, which keeps its own where none are given."""
        own = model_tensors(model)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                own[name].copy_(tensor)
        random = f"; initialised at random: {', '.join(self.fresh)}" if self.fresh else ""
        log.info("starts from the weights and the tokenizer of %s%s", self.origin, random)


def read_init_from(settings: TrainSettings) -> InitFrom | None:
    """What a model of these settings takes from the run or the folder `settings.init_from`; None where that is null.

    Raises CheckpointError where it cannot be read, ConfigError where its tokenizer or its parts are of other settings,
    or its weights do not fit and `init_fresh` does not name them.
    """
    if settings.init_from is None:
        return None
    folder = ModelFolder.of(settings.init_from)
    return _of_run(settings, settings.init_from) if folder is None else _of_folder(settings, folder)


def _of_run(settings: TrainSettings, run: str) -> InitFrom:
    folder = RunFolder.of(run)
    stored = check_tokenizer(settings, run, key="init_from")
    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    try:
        average = settings.trainer.average
        checkpoint = load(folder, settings.init_checkpoint, [MODEL], average=average)
    except CheckpointError as error:
        raise CheckpointError(f"init_from={run}: {error}") from error
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    own, given = model_tensors(model), _adapter_of(stored, run).merged(checkpoint.model)
    fresh = choose("init_fresh", settings.init_fresh, {**own, **given})
    if problems := _misfits(own, given, fresh, folder.name):
        raise ConfigError(_explain(settings, stored, problems))
    weights = {name: tensor for name, tensor in given.items() if name not in fresh}
    origin = f"run {folder.path}, {label(settings.init_checkpoint, checkpoint.step)}"
    return InitFrom(origin, tokenizer, weights, tuple(sorted(fresh & own.keys())))


def _adapter_of(stored: Mapping[str, Any], run: str) -> Adapter:
    """The adapter of that run, whose weights are merged."""
    if stored["choices"].get("adapter") == "none":
        return NoAdapter()
    adapter: Adapter = load_stored(run, key="init_from").adapter()
    return adapter


def _of_folder(settings: TrainSettings, folder: ModelFolder) -> InitFrom:
    tokenizer, given = import_model(settings, folder)
    fresh = choose("init_fresh", settings.init_fresh, given)
    weights = {name: tensor for name, tensor in given.items() if name not in fresh}
    return InitFrom(f"the folder {folder.path}", tokenizer, weights, tuple(sorted(fresh)))


def init_from_problems(settings: TrainSettings) -> list[str]:
    """A line for each option of init_from that is set without it, and for each file of vectors that is set with it."""
    if settings.init_from is None:
        adapter = settings.adapter
        given = {"init_fresh": settings.init_fresh != [], "init_checkpoint": settings.init_checkpoint != "best"}
        given[f"adapter={adapter.name}"] = adapter.target is not NoAdapter
        return [f"{key} applies to init_from, which names no run" for key in given if given[key]]
    of_folder = ModelFolder.of(settings.init_from) is not None and settings.init_checkpoint != "best"
    lines = ["init_checkpoint is for runs: init_from=hf:FOLDER has one set of weights"] * of_folder
    embedding = settings.embedding
    vectors = {"source_vectors": embedding.source_vectors, "target_vectors": embedding.target_vectors}
    return lines + [
        f"embedding.{key} and init_from cannot both be given: the embeddings come from that run"
        for key, file in vectors.items()
        if file is not None
    ]


def check_tokenizer(settings: TrainSettings, run: str, *, key: str) -> dict[str, Any]:
    """The stored settings of the run that `key` names. Raises ConfigError where its tokenizer, which is reused, was
    trained with other settings than these."""
    stored = stored_config(run, key=key)
    words = _differences(stored, settings.plain, ("tokenizer",))
    if words:
        raise ConfigError(
            f"{key}={run}: its tokenizer is reused, and it was trained with other settings than these. Give the same: "
            f"{' '.join(words)}"
        )
    return stored


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor], fresh: set[str], run: str) -> list[str]:
    """A line for each tensor not named in `fresh` that is missing in one of the two models or has another shape."""
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
    """The first tensors that do not fit, and what to change: settings that differ, or init_fresh."""
    shown = problems[:5] + [f"... and {len(problems) - 5} more"] * (len(problems) > 5)
    words = _differences(stored, settings.plain, SHAPING)
    same = f"Give this run the settings of that one ({' '.join(words)}), or initialise" if words else "Initialise"
    head = f"init_from={settings.init_from}: its weights do not fit this model:"
    return "\n  ".join([head, *shown]) + f"\n{same} what does not fit at random: init_fresh=[NAME,...]"


def _differences(stored: Mapping[str, Any], plain: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The command-line words that set these keys, and all below them, to their values in `stored`."""
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
