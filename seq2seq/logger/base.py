"""What every logger is, a recorder of a run's numbers, texts and images; and several recorders as one."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from seq2seq.errors import storage_failure
from seq2seq.plain_types import Component

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What a recorder must know to begin: the run's folder, and the update that the session begins after.

    Update 0 begins the run afresh. After any other the record is continued: what an interrupted session wrote past that
    update is removed or replaced, so that the record reads as if the run had never stopped. `to_validate`: the
    validation of that update is still to come.
    """

    folder: Path
    update: int = 0
    to_validate: bool = False


class Recorder(Component, ABC):
    """Records what a run reports, from the `session` that the trainer supplies; the step of each entry is the update.

    What a recorder has no place for it leaves out. A failing disk or connection is an OSError, whatever was called; it
    is reported, and training goes on. A recorder of a file keeps what it could not write, and writes it first in its
    next call (`AppendedFile`).
    """

    wired: ClassVar[frozenset[str]] = frozenset({"session"})

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """Why a recorder with these YAML arguments cannot record; checked before any data is read."""
        return None

    @abstractmethod
    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """A value for each tag (`train/loss`); stored when this returns, with all that was recorded before."""

    def text(self, update: int, tag: str, markdown: str) -> None:
        """A text, to be shown as Markdown; `samples_page` makes one of sentences."""

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """An image: uint8 [height, width, 3], as `figures.render` makes of a figure."""

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """The run's settings by dotted keys, when a session begins; a record that has them already stays as it is.

        `metrics` are the tags that runs are compared by.
        """

    @abstractmethod
    def close(self) -> None:
        """Store what is still in memory, and release files and connections."""


class Recorders(Recorder):
    """Several recorders as one, begun in their order; of none, as in a process that is not the main one, nothing is
    recorded.

    Each of `makers` makes a recorder of the session. Where one cannot be begun, those before it are closed again and
    StorageError is raised, which names the run's folder. From then on a recorder that fails is reported once, the run
    goes on, and its next call is made as usual.
    """

    def __init__(self, *, session: Session, makers: Iterable[Callable[..., Recorder]] = ()) -> None:
        self._folder = session.folder
        self._recorders: list[Recorder] = []
        self._failing: set[Recorder] = set()
        with ExitStack() as begun:
            begun.callback(self.close)
            for make in makers:
                try:
                    self._recorders.append(make(session=session))
                except OSError as error:
                    raise storage_failure(f"write the log of run {self._folder}", error) from error
            begun.pop_all()

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """To each recorder."""
        self._each(lambda recorder: recorder.scalars(update, values))

    def text(self, update: int, tag: str, markdown: str) -> None:
        """To each recorder."""
        self._each(lambda recorder: recorder.text(update, tag, markdown))

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """To each recorder."""
        self._each(lambda recorder: recorder.image(update, tag, pixels))

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """To each recorder."""
        self._each(lambda recorder: recorder.hyperparameters(flat, metrics))

    def close(self) -> None:
        """Close all, those after one that fails included."""
        with ExitStack() as closing:
            for recorder in reversed(self._recorders):  # the stack calls the last one first
                closing.callback(self._close, recorder)

    def _each(self, call: Callable[[Recorder], None]) -> None:
        for recorder in self._recorders:
            try:
                call(recorder)
            except OSError as error:
                if recorder not in self._failing:
                    log.warning(
                        "%s; the run goes on, and its next figures are written if that is possible again",
                        self._failure(recorder, error),
                    )
                self._failing.add(recorder)

    def _close(self, recorder: Recorder) -> None:
        try:
            recorder.close()
        except OSError as error:
            log.warning("%s; its last figures are missing", self._failure(recorder, error))

    def _failure(self, recorder: Recorder, error: OSError) -> str:
        return f"{type(recorder).__name__} cannot write the log of run {self._folder}: {error.strerror or error}"
