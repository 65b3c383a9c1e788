"""The settings that init_from=hf:FOLDER brings: what the folder fixes, and usual values of training and search."""

import json
from collections.abc import Mapping
from typing import Any

from seq2seq.config.stored_run import flatten, read_config, run_path
from seq2seq.huggingface.architecture import CHOICES, Architecture, read_architecture
from seq2seq.huggingface.folder import ModelFolder

GROUPS = (*CHOICES, "position", "tokenizer")
KEYS = (
    *("tie", "embedding.size", "embedding.dropout", "embedding.scale", "embedding.norm", "data.target_prefix"),
    *("search.beam_size", "search.length_penalty", "search.max_length"),
)


def architecture_of(folder: ModelFolder, run: str | None) -> Architecture:
    """What the folder says. Where it is gone, what the existing `run` has that started from it: to continue that one
    does not need the folder. Raises ConfigError, and CheckpointError where the run's config.yaml is broken."""
    path = None if run is None else run_path(run) / "config.yaml"
    if not folder.path.is_dir() and path is not None and path.is_file():
        stored = read_config(path)
        other = ModelFolder.of(stored["init_from"])
        if other is not None and other.path == folder.path:
            return _as_stored(stored)
    return read_architecture(folder)


def _as_stored(stored: Mapping[str, Any]) -> Architecture:
    """Other values may be typed: a run that is continued compares all of them."""
    leaves = {key: value for key, value in flatten(dict(stored)).items() if not key.split(".")[-1].startswith("_")}
    kept = {key: value for key, value in leaves.items() if key in KEYS or key.split(".")[0] in GROUPS}
    return Architecture({group: stored["choices"][group] for group in GROUPS}, {}, kept, ())


def differences(architecture: Architecture, plain: Mapping[str, Any], choices: Mapping[str, str]) -> list[str]:
    """The words that give these settings what the folder fixes, where they have something else."""
    own = flatten(dict(plain))
    fixed = [(key, value, choices.get(key)) for key, value in architecture.choices.items()]
    fixed += [(key, value, own.get(key)) for key, value in architecture.values.items()]
    return [word(key, value) for key, value, ours in fixed if value != ours]


def word(key: str, value: Any) -> str:
    """As it is typed."""
    if isinstance(value, str):
        return f"{key}={value}" if value and value == "".join(value.split()) else f"{key}='{value}'"
    return f"{key}={json.dumps(value)}"
