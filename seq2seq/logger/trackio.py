"""Trackio: a run's curves, texts, images and settings in its SQLite database on this machine."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from seq2seq.logger.base import Session
from seq2seq.logger.record_id import note_record_id, record_id
from seq2seq.logger.tracker import Tracker, as_setting


class Trackio(Tracker):
    """Writes to the database of a project, in Trackio's own folder; on disk when `scalars` returns.

    Not through `trackio.init` and `log`: they print to stdout, ask a server who the user is, write half a second later
    in a thread, and report a full disk only in a warning.
    """

    package: ClassVar[str] = "trackio"

    def __init__(self, *, session: Session, project: str, name: str | None, group: str | None) -> None:
        self._trackio = self.imported()
        session.folder.mkdir(parents=True, exist_ok=True)
        self._project, self._group = project, group
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self._settings: dict[str, Any] | None = None
        with self._as_os_error():
            self._storage.init_db(project)
            names = {run.id: run.name for run in self._trackio.Api().runs(project)}
            known = record_id(session, self.package, project)
            new = known not in names
            self._id = uuid4().hex if new or known is None else known
            self._name = names.get(self._id, name or session.folder.name)
            note_record_id(session, self.package, project, self._id)
            last = {} if new else self._last_updates()
        self.begin(session, new=new, last=last)

    def add_scalars(self, update: int, values: dict[str, float]) -> None:
        """One row."""
        self._rows.append((update, values))

    def add_text(self, update: int, tag: str, markdown: str) -> None:
        """On the page Media & Tables."""
        self._rows.append((update, {tag: self._trackio.Markdown(markdown)._to_dict()}))

    def add_image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """On the page Media & Tables."""
        image = self._trackio.Image(pixels)
        image._save(self._project, self._name, update)
        self._rows.append((update, {tag: image._to_dict()}))

    def add_settings(self, flat: Mapping[str, Any]) -> None:
        """The run's config, stored with the first row. Names with an underscore are Trackio's own."""
        own = {"_Created": datetime.now(UTC).isoformat(), "_Group": self._group, "_Username": None}
        self._settings = {key: as_setting(value) for key, value in flat.items()} | own

    def store(self) -> None:
        """All rows, in one transaction."""
        if not self._rows:
            return
        with self._as_os_error():
            self._storage.bulk_log(
                project=self._project,
                run=self._name,
                run_id=self._id,
                steps=[update for update, _ in self._rows],
                metrics_list=[row for _, row in self._rows],
                config=self._settings,
            )
        self._rows, self._settings = [], None

    def close(self) -> None:
        """Store what was recorded since the last call of `scalars`."""
        self.store()

    @property
    def _storage(self) -> Any:
        from trackio.sqlite_storage import SQLiteStorage

        return SQLiteStorage

    def _last_updates(self) -> dict[str, int]:
        """Of each tag, the last update that the record has."""
        last: dict[str, int] = defaultdict(lambda: -1)
        for row in self._storage.get_logs(self._project, self._name, run_id=self._id):
            for tag in row:
                last[tag] = max(last[tag], row["step"])
        return last

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(f"Trackio: {error}") from error
