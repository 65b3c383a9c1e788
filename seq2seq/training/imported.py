"""The tokenizer and the weights of a Hugging Face model folder, for a model of these settings."""

import logging
from collections.abc import Mapping

from torch import Tensor

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.imported import differences
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import flatten
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.huggingface.architecture import Architecture, read_architecture
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import Side
from seq2seq.huggingface.tensors import imported
from seq2seq.huggingface.vocabulary import read_sides
from seq2seq.inference.trained_model import prefix_of
from seq2seq.model.builder import build_model
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import PAD

log = logging.getLogger(__name__)


def import_model(settings: TrainSettings, folder: ModelFolder) -> tuple[Tokenizer, Mapping[str, Tensor]]:
    """The tokenizer, and every tensor of such a model by name.

    Raises ConfigError where these settings are not the folder's, CheckpointError where its weights cannot be read.
    """
    architecture = read_architecture(folder)
    if words := differences(architecture, settings.plain, settings.choices):
        raise ConfigError(
            f"init_from={folder.name} has other parts than these settings. Give the same: {' '.join(words)}"
        )
    _check_lengths(settings, folder, architecture.most)
    _check_prefixes(settings, folder, architecture)
    tokenizer, (source, target) = read_tokenizer(folder)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    own = model_tensors(model)
    never = [*target.never, *[PAD] * architecture.renormalizes]
    given = imported(folder.weights(), list(own), {"source": source.rows, "target": target.rows}, never)
    if wrong := [name for name, tensor in given.items() if tensor.shape != own[name].shape]:
        shapes = f"{list(given[wrong[0]].shape)} there, {list(own[wrong[0]].shape)} by config.json"
        raise CheckpointError(f"{folder.path}: the weights are not those of its config.json: {wrong[0]}: {shapes}")
    return tokenizer, given


def read_tokenizer(folder: ModelFolder) -> tuple[Tokenizer, tuple[Side, Side]]:
    """The folder's vocabularies, also as a tokenizer. Raises ConfigError."""
    source, target = read_sides(folder)
    try:
        first = Vocabulary(source.model)
        return Tokenizer(first, first if source.model == target.model else Vocabulary(target.model)), (source, target)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{folder.path}: SentencePiece cannot read its vocabulary: {error}") from error


def _check_lengths(settings: TrainSettings, folder: ModelFolder, most: Mapping[str, int]) -> None:
    """Raise ConfigError for a length that the folder's model has no positions for."""
    own = flatten(dict(settings.plain))
    if words := [f"{key}={longest}" for key, longest in most.items() if own.get(key, 0) > longest]:
        raise ConfigError(
            f"init_from={folder.name} has {min(most.values()) + 1:,} positions (config.json: max_position_embeddings), "
            f"too few for these lengths. Type: {' '.join(words)}"
        )


def _check_prefixes(settings: TrainSettings, folder: ModelFolder, architecture: Architecture) -> None:
    """Raise ConfigError for a language code that the folder does not know or that is missing; warn where one may be."""
    codes = architecture.codes
    for side, example in (("source", "de_DE"), ("target", "en_XX")) if architecture.coded_twice else ():
        prefix = prefix_of(settings, side)
        if not any(prefix.startswith(f"{code} ") for code in codes):
            raise ConfigError(
                f"data.{side}_prefix={prefix!r}: each {side} of init_from={folder.name} begins with the code of its "
                f"language and a space, such as data.{side}_prefix='{example} '; it has {', '.join(codes)}"
            )
    if architecture.coded_twice:
        return
    code = next(iter(prefix_of(settings, "source").split()), "")
    if code.startswith(">>") and code.endswith("<<") and code not in codes:
        known = f"it has {', '.join(codes)}" if codes else "it has none"
        raise ConfigError(f"data.source_prefix={code}: init_from={folder.name} has no such language code; {known}")
    if codes and code not in codes:
        log.warning(
            "%s translates into several languages: unless each source begins with a code such as %s, give one: "
            "data.source_prefix='%s '",
            folder.path,
            codes[0],
            codes[0],
        )
