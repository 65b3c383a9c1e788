"""What every export format offers: it writes a model's files, and runs them with the format's own runtime."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Protocol

from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.types import Component


class Exported(Protocol):
    """An exported model, run by the format's own runtime."""

    def greedy(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """The greedy output of each source (ids without end symbols), of at most that many tokens, its end symbol not
        counted. Padding and the begin symbol are never output, nor is what all targets begin with."""


class Format(Component, ABC):
    """A file format for trained models; constructed from the arguments of its YAML file, all keyword-only.

    `extra` names the optional dependencies of seq2seq that it needs, `packages` those packages. Only the methods import
    them, so that a configuration can be read without them. A default of the constructor is that of the YAML file: the
    names of exports have only the arguments that differ.
    """

    extra: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def problems(cls, settings: TrainSettings, **arguments: Any) -> list[str]:
        """A line for each setting of a run that the format cannot express, with the choices that it can; empty if it
        can express all. `arguments` are those of the YAML file."""

    @abstractmethod
    def write(self, trained: TrainedModel, settings: TrainSettings, folder: Path) -> None:
        """Write the model, which is in fp32 on the CPU, into an existing empty folder, with its vocabularies."""

    @abstractmethod
    def exported(self, folder: Path) -> Exported:
        """What `write` wrote, run on the CPU."""

    def lossless(self) -> "Format":
        """The format with arguments that keep the weights in fp32; itself if it does."""
        return self

    @classmethod
    def versions(cls) -> dict[str, str]:
        """The versions of its packages. Raises ConfigError if one is missing."""
        try:
            return {name: metadata.version(name) for name in cls.packages}
        except metadata.PackageNotFoundError as error:
            raise ConfigError(
                f"the package {error.name} is not installed; to install it: pip install 'seq2seq[{cls.extra}]'"
            ) from error
