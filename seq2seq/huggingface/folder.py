"""A Hugging Face model folder: its JSON files, SentencePiece models and weights. Nothing in it is executed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.errors import CheckpointError, ConfigError, memory_errors
from seq2seq.files import read_bounded, read_json

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "hf:"
INDEX = "model.safetensors.index.json"
LARGEST = 100_000_000  # bytes of a file other than weights


@dataclass(frozen=True)
class ModelFolder:
    """The files of one model; `name` is what was typed, for messages."""

    path: Path
    name: str

    @classmethod
    def of(cls, init_from: str | None) -> "ModelFolder | None":
        """The folder that `init_from=hf:FOLDER` names; None where it names a run, or nothing."""
        if init_from is None or not init_from.startswith(PREFIX):
            return None
        path = os.path.expandvars(init_from.removeprefix(PREFIX))
        return cls(Path(path).expanduser(), init_from)

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json."""
        if not (self.path / "config.json").is_file():
            raise ConfigError(
                f"init_from={self.name}: there is no {self.path / 'config.json'}; a model of the hub is fetched with: "
                f"hf download NAME --local-dir {self.path}"
            )
        return self.json("config.json")

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file that holds keys and values; raises ConfigError."""
        try:
            content = read_json(self.path / name, LARGEST)
        except OSError as error:
            raise self._unreadable(name, error) from error
        except ValueError as error:
            raise ConfigError(f"{self.path / name} is damaged: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f"{self.path / name} does not hold keys and values")
        return content

    def optional_json(self, name: str) -> dict[str, Any]:
        """The same; nothing where there is no such file."""
        return self.json(name) if (self.path / name).is_file() else {}

    def bytes(self, name: str) -> bytes:
        """A whole file; raises ConfigError."""
        try:
            return read_bounded(self.path / name, LARGEST)
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: OSError) -> ConfigError:
        return ConfigError(f"init_from={self.name}: cannot read {self.path / name}: {error.strerror}")

    @memory_errors("loading the checkpoint")
    def weights(self) -> "Mapping[str, Tensor]":
        """All tensors by their names there: of model.safetensors (in one file or several), or else of
        pytorch_model.bin. Raises CheckpointError."""
        names = self._listed()
        files = [self.path / name for name in names or ["model.safetensors"]]
        if names or files[0].is_file():
            return {key: tensor for file in files for key, tensor in _safetensors(file).items()}
        if (self.path / "pytorch_model.bin").is_file():
            return _without_pickle(self.path / "pytorch_model.bin")
        raise CheckpointError(f"init_from={self.name}: the folder has no model.safetensors and no pytorch_model.bin")

    def _listed(self) -> list[str]:
        """The names of several files with weights; none where there is one."""
        listed = self.optional_json(INDEX).get("weight_map", {})
        names = listed.values() if isinstance(listed, dict) else [listed]
        for name in names:
            if not isinstance(name, str) or name != Path(name).name or not name.endswith(".safetensors"):
                raise CheckpointError(f"{self.path / INDEX}: {name!r:.80} is not the name of a file of the folder")
        return sorted(set(names))


def _safetensors(file: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def _without_pickle(file: Path) -> "dict[str, Tensor]":
    """Only tensors are read: torch refuses a file with anything that would be executed."""
    import pickle

    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{file} cannot be read: {reason}") from error
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}
