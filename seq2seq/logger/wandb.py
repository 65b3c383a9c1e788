"""Weights & Biases: a run's curves, texts, images and settings, kept in files, and sent to its server on request."""

import html
import logging
import math
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from seq2seq.errors import ConfigError
from seq2seq.logger.base import Session
from seq2seq.logger.record_id import note_record_id, record_id
from seq2seq.logger.tracker import Tracker, as_setting
from seq2seq.logger.wandb_file import has_ended, last_updates

COMPLETE_WITHIN = 10.0  # seconds for W&B's process to write the end of a file
AT_REST = 2.0  # seconds without a write, after which the process of a killed run writes nothing more: it does so in 0.5
UPDATE = "update"  # the key of a row that is the x-axis of all others

log = logging.getLogger(__name__)


class Wandb(Tracker):
    """Hands rows to W&B's own process, which writes them to a .wandb file within a second, and sends them if online.

    Each session of a run writes a file, all with one id; `wandb sync` makes them one run again. A file's steps count
    its rows, because a step cannot be written to twice; so the updates are a column, and the x-axis of all others.

    Where that process ends, training goes on: the next session adds what is missing.
    """

    package: ClassVar[str] = "wandb"

    def __init__(
        self,
        *,
        session: Session,
        mode: Literal["offline", "online", "disabled"],
        project: str | None,
        entity: str | None,
        name: str | None,
        group: str | None,
        tags: list[str],
        folder: str | None,
        system_metrics: bool,
    ) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._wandb = self.imported()
        parent = (Path(folder) if folder else session.folder).absolute()  # W&B's process may be in another folder
        parent.mkdir(parents=True, exist_ok=True)
        place = f"{entity or ''}/{project or ''}"
        known = record_id(session, self.package, place)
        files = sorted(parent.glob(f"wandb/*/run-{known}.wandb")) if known else []
        record = known if known and files else secrets.token_hex(4)
        given = {"project": project, "entity": entity, "group": group, "tags": tags or None, "dir": str(parent)}
        name = name or session.folder.name
        self._run = self._started(id=record, name=name, mode=mode, settings=self._settings(system_metrics), **given)
        self._ended = False
        if mode != "disabled":
            note_record_id(session, self.package, place, record)
        for file in files:
            wait_for_last_write(file)
        last = last_updates(files, UPDATE)
        self.begin(session, new=not last, last=last)

    @classmethod
    def problem(cls, **arguments: Any) -> str | None:
        """That the package is missing, or the key of an account to send to."""
        if missing := super().problem(**arguments):
            return missing
        if arguments.get("mode") == "online" and not cls.imported().login(prompt=False, verify=False):
            return NO_KEY
        return None

    def add_scalars(self, update: int, values: dict[str, float]) -> None:
        """One row."""
        self._log(update, values)

    def store(self) -> None:
        """W&B's process does it."""

    def add_text(self, update: int, tag: str, markdown: str) -> None:
        """As it is, on the page Media: W&B shows no Markdown there."""
        as_html = html.escape(html.unescape(markdown), quote=False)
        self._log(update, {tag: self._wandb.Html(f"<pre style='white-space: pre-wrap'>{as_html}</pre>")})

    def add_image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        """On the page Media."""
        self._log(update, {tag: self._wandb.Image(pixels)})

    def add_settings(self, flat: Mapping[str, Any]) -> None:
        """The run's config."""
        self._run.config.update({key: as_setting(value) for key, value in flat.items()}, allow_val_change=True)

    def close(self) -> None:
        """Wait until all is sent, if online, but no longer than a minute, and until the file is complete."""
        if self._ended:
            return
        try:
            self._run.finish()
        except ConnectionError as error:
            self._end(error)
            return
        wait_for_last_write(Path(self._run.settings.sync_file), at_rest=math.inf)

    def _settings(self, system_metrics: bool) -> Any:
        """No output, no copies of code or packages, no links; data is on disk within a second."""
        return self._wandb.Settings(
            silent=True,
            console="off",
            reinit="create_new",
            symlink=False,
            use_dot_wandb=False,
            save_code=False,
            disable_git=True,
            disable_job_creation=True,
            finish_timeout=60,
            x_disable_meta=True,
            x_disable_stats=not system_metrics,
            x_save_requirements=False,
            x_transaction_log_flush_interval=0.5,
        )

    def _started(self, **given: Any) -> Any:
        """The run of W&B. Raises ConfigError without an account's key, OSError where the server isn't reached."""
        try:
            run = self._wandb.init(resume="allow", **given)
        except self._wandb.errors.UsageError as error:
            raise ConfigError(NO_KEY if "API key" in str(error) else f"logger.wandb: {error}") from error
        except Exception as error:  # of several families, some of them of connections
            raise OSError(f"W&B: {error}") from error
        run.define_metric(UPDATE, hidden=True)
        run.define_metric("*", step_metric=UPDATE)
        if given["mode"] == "online":
            log.info("W&B: %s", run.url)
        return run

    def _log(self, update: int, row: Mapping[str, Any]) -> None:
        if self._ended:
            return
        try:
            self._run.log({UPDATE: update, **row})
        except ConnectionError as error:
            self._end(error)

    def _end(self, error: ConnectionError) -> None:
        """Record nothing more; another run in this process will start another one of W&B's."""
        self._ended = True
        with suppress(ConnectionError):
            self._wandb.teardown()
        log.warning("W&B's process has ended (%s): what follows is recorded there if the run is continued", error)


def wait_for_last_write(file: Path, at_rest: float = AT_REST) -> None:
    """Wait until a session's file has its end, or `at_rest` seconds have gone by without a write to it.

    W&B's process outlives a training that is killed for a moment, and may still write what that training logged.
    """
    deadline = time.monotonic() + COMPLETE_WITHIN  # also where the disk's clock is ahead of ours
    while file.exists() and not has_ended(file) and time.monotonic() < deadline:
        if time.time() - file.stat().st_mtime > at_rest:
            return
        time.sleep(0.01)


NO_KEY = "logger.wandb.mode=online needs the key of an account: run `wandb login`, or set WANDB_API_KEY"
