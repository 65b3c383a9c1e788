"""What the loggers of experiment trackers share: records that can only grow are continued without gap or repetition.

A run that is resumed computes again what an interrupted session computed after the last checkpoint, with the same
result. So what a record has already is left out. What it lacks, because the last session was killed or the tracker was
not reached, is taken from metrics.jsonl.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from seq2seq.errors import ConfigError
from seq2seq.logger.base import Recorder, Session
from seq2seq.logger.jsonl import METRICS_FILE, metrics_until
from seq2seq.logger.tensorboard import as_hyperparameter


class Tracker(Recorder):
    """A recorder whose record is another program's.

    A constructor gets its package from `imported`, and calls `begin` when it has found or made the record.
    """

    package: ClassVar[str]  # what must be installed; the extra of seq2seq that installs it has the same name

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """That the package is missing."""
        return None if find_spec(cls.package) else cls.missing()

    @classmethod
    def imported(cls) -> Any:
        """The package. Raises ConfigError if it is missing."""
        try:
            return import_module(cls.package)
        except ModuleNotFoundError as error:
            if error.name != cls.package:
                raise
            raise ConfigError(cls.missing()) from None

    @classmethod
    def missing(cls) -> str:
        """What to type where the package is not installed."""
        return f"logger={cls.package} needs the package {cls.package}: pip install 'seq2seq[{cls.package}]'"

    def begin(self, session: Session, *, new: bool, last: Mapping[str, int]) -> None:
        """Fill a record up to the session's update. `last`: of each of its keys the last update that it has."""
        self._new, self._last = new, last
        lines = metrics_until(session.folder / METRICS_FILE, update=session.update, to_validate=session.to_validate)
        for line in lines:
            values = {tag: math.nan if value is None else value for tag, value in line.items() if tag != "update"}
            self._add_lacking(line["update"], values)
        if lines:
            self.store()

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """Those that the record lacks."""
        self._add_lacking(update, values)
        self.store()

    def text(self, update: int, tag: str, markdown: str) -> None:
        """Unless the record has it."""
        if self._lacks(update, tag):
            self.add_text(update, tag, markdown)

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """Unless the record has it."""
        if self._lacks(update, tag):
            self.add_image(update, tag, pixels)

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """In a new record."""
        if self._new:
            self.add_settings(flat)

    def key(self, tag: str) -> str:
        """A tag as the tracker names it."""
        return tag

    @abstractmethod
    def add_scalars(self, update: int, values: dict[str, float]) -> None:
        """Add points; `store` is called after one or several of these calls."""

    @abstractmethod
    def store(self) -> None:
        """Store what was added."""

    @abstractmethod
    def add_text(self, update: int, tag: str, markdown: str) -> None:
        """Add a text."""

    @abstractmethod
    def add_image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """Add an image: uint8 [height, width, 3]."""

    @abstractmethod
    def add_settings(self, flat: Mapping[str, Any]) -> None:
        """Add the run's settings by dotted keys."""

    def _add_lacking(self, update: int, values: Mapping[str, float]) -> None:
        if lacking := {tag: float(value) for tag, value in values.items() if self._lacks(update, tag)}:
            self.add_scalars(update, lacking)

    def _lacks(self, update: int, tag: str) -> bool:
        return update > self._last.get(self.key(tag), -1)


def as_setting(value: Any) -> int | float | str | None:
    """A setting as JSON of trackers can hold it: null, truth values, numbers and text as they are, all else as text."""
    return value if value is None or isinstance(value, bool) else as_hyperparameter(value)
