"""TensorBoard: curves, texts, images and the settings of a run in event files in its own folder."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.logger.base import Recorder, Session
from seq2seq.logger.event_file import EventFile
from seq2seq.logger.jsonl import METRICS_FILE, metrics_until


class TensorBoard(Recorder):
    """Writes a session to a new event file; on disk when `scalars` returns.

    The event files lie in the run folder itself, so that the run bears its own name in TensorBoard. A continued run's
    file makes TensorBoard drop what older files say past the session's update.
    """

    def __init__(self, *, session: Session) -> None:
        session.folder.mkdir(parents=True, exist_ok=True)
        await_later_second(session.folder)
        self._begins = session.update == 0
        again = session.to_validate and session.update > 0  # older files may have this update's validation
        after = 0 if self._begins else session.update if again else session.update + 1
        self._events = EventFile(session.folder, purge_step=after)
        if again:
            self._write_again(session)

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """A point on the curve of each tag."""
        from torch.utils.tensorboard.summary import scalar

        for tag, value in values.items():
            self._events.add(scalar(tag, float(value)), update)
        self._events.flush()

    def _write_again(self, session: Session) -> None:
        """The points of the session's own update, without its validation."""
        path, update = session.folder / METRICS_FILE, session.update
        for line in metrics_until(path, update=update, to_validate=True):
            if line.pop("update") == update:
                self.scalars(update, {tag: math.nan if value is None else value for tag, value in line.items()})

    def text(self, update: int, tag: str, markdown: str) -> None:
        """On the page TEXT."""
        from torch.utils.tensorboard.summary import text

        self._events.add(text(tag, markdown), update)

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """On the page IMAGES."""
        from torch.utils.tensorboard.summary import image

        self._events.add(image(tag, pixels, dataformats="HWC"), update)

    def hyperparameters(self, flat: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """A row of the page HPARAMS: the settings, and the last value of each tag in `metrics`.

        They go into the run's own event file: `SummaryWriter.add_hparams(run_name=".")` would open a second one, and
        put a point at step 0 on each metric's curve.
        """
        from torch.utils.tensorboard.summary import hparams

        if not self._begins:
            return
        settings = {key: as_hyperparameter(value) for key, value in flat.items()}
        for summary in hparams(settings, dict.fromkeys(metrics, 0.0)):
            self._events.add(summary)
        self._events.flush()

    def close(self) -> None:
        """Close the file."""
        self._events.close()


def await_later_second(folder: Path) -> None:
    """Return when a new event file will sort behind those in `folder`.

    TensorBoard reads them by name, and a name begins with the second in which the file was opened: two sessions within
    one second would be read in the order of their process ids.
    """
    names = (path.name.split(".") for path in folder.glob("events.out.tfevents.*"))
    newest = max((int(name[3]) for name in names if name[3].isdigit()), default=0)
    if newest == int(time.time()):
        time.sleep(newest + 1 - time.time())


def as_hyperparameter(value: Any) -> int | float | str:
    """A setting as TensorBoard can show it: numbers and text as they are, all else as JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode(errors="backslashreplace").decode()  # a file's name need not be UTF-8
