"""An event file of TensorBoard's, written by the thread that calls: what fails is raised where it happened.

TensorBoard's own writer has a thread, whose traceback appears between other messages.
"""

import os
import socket
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.files import AppendedFile

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

VERSION = "brain.Event:2"  # of the format: the first event says it


class EventFile:
    """Summaries, each at its step, in a new file in `folder`; it replaces what older files say of `purge_step` and on.

    Raises OSError. What was added is with the system after `flush`, or is written by the next one.
    """

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._file = AppendedFile(folder / name, new=True)
        self._added = BytesIO()
        self._records = RecordWriter(self._added)
        self._add(file_version=VERSION)
        self._add(step=purge_step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def add(self, summary: "Summary", step: int = 0) -> None:
        """Append what a function of torch.utils.tensorboard.summary made."""
        self._add(step=step, summary=summary)

    def flush(self) -> None:
        """Hand all that was added to the system."""
        added = self._added.getvalue()
        self._added.seek(0)
        self._added.truncate()
        self._file.append(added)

    def close(self) -> None:
        """Flush and close the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _add(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
