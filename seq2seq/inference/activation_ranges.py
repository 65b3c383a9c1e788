"""The ranges of a model's activations, for precision=int8: measured on training pairs at first use, then kept in the
run's folder."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.storage import replace_file, storage_errors
from seq2seq.checkpoint.weights import weights_digest
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import by_length, collate
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import CheckpointError, ConfigError, DataError, StorageError
from seq2seq.files import read_json
from seq2seq.layers.packed_linear import packing_works
from seq2seq.model.model import Model
from seq2seq.model.packing import Range, observed_ranges, range_names
from seq2seq.search.decode import evaluating
from seq2seq.tokenizer import Tokenizer

PAIRS = 500  # of training
TOKENS = 4096  # of a batch

log = logging.getLogger(__name__)


def activation_ranges(
    folder: RunFolder, settings: TrainSettings, model: Model, tokenizer: Tokenizer
) -> Mapping[str, Range]:
    """Of these weights, as `to_int8` takes them. Raises DataError if they are not known and the training data is
    missing, CheckpointError for a damaged file or activations that are not finite, ConfigError where there are no
    kernels for int8."""
    if not packing_works():
        raise ConfigError("precision=int8: this PyTorch has no kernels for it on this processor; use fp32 or bf16")
    file = folder.ranges_file(weights_digest(model)[:16])
    if file.exists():
        return read_ranges(file, range_names(model))
    ranges = measure(model, _training_pairs(folder, settings, tokenizer, file))
    if not all(map(_is_range, ranges.values())):
        raise CheckpointError(
            f"precision=int8: the activations of {folder.path} are not finite; use another checkpoint"
        )
    try:
        with storage_errors(f"write {file}"):
            file.parent.mkdir(exist_ok=True)
            replace_file(file, json.dumps({"sha256": ranges_digest(ranges), "ranges": ranges}, indent=1))
    except StorageError as error:
        log.warning("%s; the ranges of precision=int8 are measured again next time", error)
    return ranges


def measure(model: Model, corpus: EncodedCorpus) -> dict[str, Range]:
    """The ranges that PAIRS evenly spaced pairs have, in fp32."""
    pairs = np.unique(np.linspace(0, len(corpus) - 1, min(PAIRS, len(corpus))).astype(np.int64))
    sizes = (corpus.source_lengths + corpus.target_lengths)[pairs]
    with evaluating(model), torch.autocast("cpu", enabled=False), observed_ranges(model) as ranges:
        for rows in by_length(sizes, TOKENS):
            model.loss(collate(corpus, pairs[rows]))
    return ranges


def _training_pairs(folder: RunFolder, settings: TrainSettings, tokenizer: Tokenizer, file: Path) -> EncodedCorpus:
    log.info("precision=int8: measuring the ranges of activations on training pairs, once (%s)", file)
    try:
        own = load_stored(str(folder.path), data_root=settings.data_root)
        cache = Path(settings.cache_dir)
        return prepare_split(
            data=own.data(), split="train", tokenizer=tokenizer, length=own.length, cache=cache, drop=True
        )
    except (ConfigError, DataError) as error:
        raise DataError(
            f"precision=int8 needs the training data of {folder.path} once, for the ranges of activations, which it "
            f"keeps in {file}; use precision=bf16 or fp32, or give the data: {error}"
        ) from error


def read_ranges(file: Path, names: Sequence[str]) -> dict[str, Range]:
    """The ranges with these names in a file that `activation_ranges` wrote. Raises CheckpointError."""
    try:
        content = read_json(file)
        found = content["ranges"]
        ranges = {name: (float(found[name][0]), float(found[name][1])) for name in names}
        if content["sha256"] != ranges_digest(found) or not all(map(_is_range, ranges.values())):
            raise ValueError("not what was written")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CheckpointError(f"{file} is damaged: delete it, and the ranges are measured again") from error
    return ranges


def ranges_digest(ranges: Mapping[str, Range]) -> str:
    """SHA-256 of ranges, as their file has it."""
    return hashlib.sha256(json.dumps(ranges).encode()).hexdigest()


def _is_range(ends: Range) -> bool:
    return all(map(math.isfinite, ends)) and ends[0] <= ends[1]
