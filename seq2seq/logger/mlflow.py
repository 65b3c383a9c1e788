"""MLflow: a run's curves, sample outputs, attention maps and settings, in a local database or on a tracking server."""

import fcntl
import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from seq2seq.files import no_link
from seq2seq.logger.base import Session
from seq2seq.logger.record_id import note_record_id, record_id
from seq2seq.logger.tensorboard import as_hyperparameter
from seq2seq.logger.tracker import Tracker

SQLITE = "sqlite:///"
POINTS_AT_ONCE, SETTINGS_AT_ONCE = 1000, 100  # limits of MLflow's
ENVIRONMENT = {  # where it is not set otherwise: no telemetry, nothing on stdout, no long waits for a server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
LONGEST_PAUSE = 600.0  # seconds between attempts to reach a server

log = logging.getLogger(__name__)


class MLflow(Tracker):
    """Records through a client, whose calls return when the database or the server has stored what they send.

    A database on this machine that fails is an OSError. So is a server that cannot be reached when a session begins.
    Later, training goes on without it: points wait, a few seconds at first, up to ten minutes between two attempts.
    Texts and images of that time are left out.
    """

    package: ClassVar[str] = "mlflow"

    def __init__(
        self, *, session: Session, tracking_uri: str | None, experiment: str, name: str | None, tags: dict[str, str]
    ) -> None:
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        self._mlflow = self.imported()
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that it raises, too
        session.folder.mkdir(parents=True, exist_ok=True)
        self._uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or beside(session.folder)
        self._waiting: list[Any] = []
        self._pause, self._resume_at = 1.0, 0.0
        with self._as_os_error():
            self._client = self._connected()
            known = self._known(record_id(session, self.package, experiment))
            self._id = known or self._created(experiment, name or session.folder.name, tags)
            note_record_id(session, self.package, experiment, self._id)
            last = self._last_updates() if known else {}
        self.begin(session, new=known is None, last=last)

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """That the package is missing, or what it needs for a database on this machine."""
        uri = arguments.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or SQLITE
        incomplete = uri.startswith(SQLITE) and find_spec("sqlalchemy") is None
        return super().problem(**arguments) or (cls.missing() if incomplete else None)

    def key(self, tag: str) -> str:
        """The tag in the characters that MLflow allows."""
        return re.sub(r"[^\w\-. :/]", "_", tag)

    def add_scalars(self, update: int, values: dict[str, float]) -> None:
        """A point on the curve of each tag."""
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        self._waiting += [metric(self.key(tag), value, now, update) for tag, value in values.items()]

    def store(self) -> None:
        """Send the points that wait."""
        while self._waiting:
            batch = self._waiting[:POINTS_AT_ONCE]
            if not self._reached(partial(self._client.log_batch, self._id, metrics=batch, synchronous=True)):
                return
            del self._waiting[: len(batch)]

    def add_text(self, update: int, tag: str, markdown: str) -> None:
        """A file among the artifacts."""
        self._reached(partial(self._client.log_text, self._id, markdown, f"{tag}/update-{update:07}.md"))

    def add_image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """In the image grid of the page Model metrics, with a slider for the update."""
        self._reached(
            lambda: self._client.log_image(self._id, pixels, key=self.key(tag), step=update, synchronous=True)
        )

    def add_settings(self, flat: Mapping[str, Any]) -> None:
        """The run's parameters."""
        parameter = self._mlflow.entities.Param
        settings = [parameter(self.key(key), str(as_hyperparameter(value))) for key, value in flat.items()]
        for start in range(0, len(settings), SETTINGS_AT_ONCE):
            batch = settings[start : start + SETTINGS_AT_ONCE]
            self._reached(partial(self._client.log_batch, self._id, params=batch, synchronous=True))

    def close(self) -> None:
        """Send what waits, once more, and mark the run as finished."""
        self._resume_at = 0.0
        self.store()
        if self._waiting:
            log.warning("MLflow: %d points were not sent; if the run is continued, they will be", len(self._waiting))
        else:
            self._reached(partial(self._client.set_terminated, self._id))

    def _connected(self) -> Any:
        """The client; it makes the database where there is none, one of several runs that begin together."""
        if not self._is_local:
            return self._mlflow.MlflowClient(tracking_uri=self._uri)
        database = self._database
        database.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{database}.lock", "ab", opener=no_link) as file:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not database.exists():
                log.info("MLflow: creating %s", database)
            return self._mlflow.MlflowClient(tracking_uri=self._uri)

    @property
    def _is_local(self) -> bool:
        return self._uri.startswith(SQLITE)

    @property
    def _database(self) -> Path:
        return Path(self._uri.removeprefix(SQLITE).partition("?")[0])

    def _known(self, record: str | None) -> str | None:
        """The record, marked as running again; None where the database does not have it."""
        if record is None:
            return None
        try:
            found = self._client.get_run(record)
        except self._mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if found.info.lifecycle_stage == "deleted":
            return None
        self._client.update_run(record, status="RUNNING")
        return record

    def _created(self, experiment: str, name: str, tags: dict[str, str]) -> str:
        """A new record in the experiment, which is created where there is none."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            artifacts = self._database.resolve().parent / "mlartifacts"
            try:
                number = self._client.create_experiment(experiment, artifacts.as_uri() if self._is_local else None)
            except self._mlflow.MlflowException:
                found = self._client.get_experiment_by_name(experiment)  # another run has just created it
                if found is None:
                    raise
        source = {"mlflow.source.name": "seq2seq"}
        if found is not None:
            number = found.experiment_id
        created = self._client.create_run(number, tags=source | tags, run_name=name)
        return str(created.info.run_id)

    def _last_updates(self) -> dict[str, int]:
        """Of each curve and each image, the last update that the record has."""
        last: dict[str, int] = defaultdict(lambda: -1)
        for tag in self._client.get_run(self._id).data.metrics:
            last[tag] = max(point.step for point in self._client.get_metric_history(self._id, tag))
        for file in self._client.list_artifacts(self._id, "images"):
            if named := re.fullmatch(r"images/(.+?)[+%]step[+%](\d+)[+%].*", file.path):
                tag = named[1].replace("~", "/").replace("#", "/")
                last[tag] = max(last[tag], int(named[2]))
        return last

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What MLflow raises where a database or a server fails."""
        if not self._is_local:
            return (self._mlflow.MlflowException,)
        from sqlalchemy.exc import SQLAlchemyError

        return (self._mlflow.MlflowException, SQLAlchemyError)

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """What fails in MLflow becomes an OSError."""
        try:
            yield
        except self._errors as error:
            raise OSError(f"MLflow at {self._uri}: {reason(error)}") from error

    def _reached(self, send: Callable[[], object]) -> bool:
        """Whether the database or server has taken what `send` sends. Raises OSError if it is on this machine."""
        if self._is_local:
            with self._as_os_error():
                send()
            return True
        if time.monotonic() < self._resume_at:
            return False
        try:
            send()
        except Exception as error:  # stores of artifacts raise what their libraries raise
            if self._pause == 1.0:
                log.warning("MLflow at %s: %s. Training goes on; points are sent later", self._uri, reason(error))
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._resume_at = time.monotonic() + self._pause
            return False
        self._pause = 1.0
        return True


def reason(error: BaseException) -> str:
    """The first line of the error that caused it: MLflow, SQLAlchemy and urllib3 wrap it in long messages."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return str(error).split("\n")[0]


def beside(folder: Path) -> str:
    """The database of all runs whose folders lie beside each other; one may wait a minute while others write."""
    return f"{SQLITE}{folder.resolve().parent / 'mlflow.db'}?timeout=60"
