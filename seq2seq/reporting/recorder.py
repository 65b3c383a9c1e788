"""What a run leaves to be looked at: metrics.jsonl and TensorBoard's event files, the same tags in both."""

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.errors import storage_failure
from seq2seq.files import no_link, write_flushed
from seq2seq.reporting.event_file import EventFile

METRICS_FILE = "metrics.jsonl"

log = logging.getLogger(__name__)


class Recorder:
    """Writes a run's numbers, texts and figures into its folder; the step of each is the update.

    The event files lie in the run folder itself, so that the run bears its own name in TensorBoard. Continuing at
    `update`, all that an interrupted session wrote past it is cut from metrics.jsonl and purged from TensorBoard: both
    read as if the run had never stopped. At update 0 everything starts afresh. `to_validate`: the validation of that
    update is still to come.

    Raises StorageError if the folder cannot be written to.
    """

    def __init__(self, folder: Path, *, update: int, to_validate: bool = False) -> None:
        self._folder = folder
        with self._saving():
            folder.mkdir(parents=True, exist_ok=True)
            cut_metrics(folder / METRICS_FILE, after=update, to_validate=to_validate)
            await_later_second(folder)
            self._metrics = open(folder / METRICS_FILE, "ab", opener=no_link)  # noqa: SIM115
            self._board = EventFile(folder, purge_step=update + 1 if update > 0 else 0)

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, and a point on the curve of each tag; on disk when this returns."""
        from torch.utils.tensorboard.summary import scalar

        with self._saving():
            self._metrics.write(metrics_line(update, values))
            self._metrics.flush()
            for tag, value in values.items():
                self._board.add(scalar(tag, float(value)), update)
            self._board.flush()

    def text(self, update: int, tag: str, markdown: str) -> None:
        """A text, shown as Markdown; `samples_page` makes one of sentences."""
        from torch.utils.tensorboard.summary import text

        with self._saving():
            self._board.add(text(tag, markdown), update)

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """An image: uint8 [height, width, 3], as `figures.render` makes of a figure."""
        from torch.utils.tensorboard.summary import image

        with self._saving():
            self._board.add(image(tag, pixels, dataformats="HWC"), update)

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """The run's settings as a row of TensorBoard's HPARAMS page, beside the last value of each tag in `metrics`.

        They go into the run's own event file: `SummaryWriter.add_hparams(run_name=".")` would open a second one, and
        put a point at step 0 on each metric's curve.
        """
        from torch.utils.tensorboard.summary import hparams

        settings = {key: as_hyperparameter(value) for key, value in flat.items()}
        with self._saving():
            for summary in hparams(settings, dict.fromkeys(metrics, 0.0)):
                self._board.add(summary)
            self._board.flush()

    def close(self) -> None:
        """Write what is still in memory, and let go of the files."""
        with self._saving():
            self._board.close()
            self._metrics.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """A failing disk becomes one line that names the folder."""
        try:
            yield
        except OSError as error:
            raise storage_failure(f"write the log of run {self._folder}", error) from error


class NoRecorder(Recorder):
    """The logbook of a process that is not the main one: nothing is written."""

    def __init__(self) -> None:
        pass

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """Not written."""

    def text(self, update: int, tag: str, markdown: str) -> None:
        """Not written."""

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """Not written."""

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """Not written."""

    def close(self) -> None:
        """There is nothing to let go of."""


def metrics_line(update: int, values: Mapping[str, float]) -> bytes:
    """One line of metrics.jsonl. JSON knows neither NaN nor infinity: they are written as null."""
    numbers = {tag: value if math.isfinite(value) else None for tag, value in values.items()}
    return json.dumps({"update": update, **numbers}, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl in the order written; any that is not one of ours is left out, with a warning."""
    return [entry for _, entry in _entries(path.read_bytes(), path)]


def cut_metrics(path: Path, *, after: int, to_validate: bool = False) -> None:
    """Keep the lines up to update `after` alone (none, if it is 0), without its validation if that is still to come.

    The file is replaced whole or not at all.
    """
    if not path.exists():
        return

    def stays(entry: Mapping[str, Any]) -> bool:
        again = to_validate and entry["update"] == after and any(tag.startswith("valid/") for tag in entry)
        return 0 < after >= entry["update"] and not again

    content = path.read_bytes()
    kept = b"".join(line for line, entry in _entries(content, path) if stays(entry))
    if kept == content:
        return
    beside = path.with_name(path.name + ".new")
    write_flushed(beside, kept)
    beside.replace(path)


def await_later_second(folder: Path) -> None:
    """Return when a new event file will sort behind those in `folder`.

    TensorBoard reads them by name, and a name begins with the second in which the file was opened: two sessions within
    one second would be read in the order of their process ids.
    """
    names = (path.name.split(".") for path in folder.glob("events.out.tfevents.*"))
    newest = max((int(name[3]) for name in names if name[3].isdigit()), default=0)
    if newest == int(time.time()):
        time.sleep(newest + 1 - time.time())


def _entries(content: bytes, path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each line of metrics with what it says. A killed process may have left the last one unfinished."""
    *lines, unfinished = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry["update"], int):
                raise TypeError("update is not a number")
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("%s, line %d: skipped, because it is not a line of metrics", path, number)
            continue
        yield line + b"\n", entry
    if unfinished:
        log.warning("%s: the last line is incomplete and was skipped", path)


def as_hyperparameter(value: Any) -> int | float | str:
    """A setting as TensorBoard can show it: numbers and text as they are, all else as JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode(errors="backslashreplace").decode()  # a file's name need not be UTF-8
