"""Processes that sample the segmentations of later epochs during training, each for its share of the pairs."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from seq2seq.data.segmenting import CHUNK, Segmenter, Task
from seq2seq.errors import DataError, PeerError
from seq2seq.runtime.cores import usable_cores

PAIRS_A_PROCESS = 3 * CHUNK  # at least: fewer are sampled faster than a process starts
# Modules are imported from this program's path; -P: not from the working directory.
PROCESS = """
import json, sys
path, task = json.loads(sys.argv[1])
sys.path = path
from seq2seq.data.segmenting import serve
serve(task)
"""


class SegmentingProcesses:
    """Samples epochs on request; a corpus of at most one chunk is sampled in this process, when it is needed."""

    def __init__(self, task: Task) -> None:
        self.tasks = _shares(task)
        self._here = Segmenter(self.tasks[0]) if task.end - task.first <= CHUNK else None
        self._processes: list[subprocess.Popen[str]] = []
        self._ordered: int | None = None
        self._written: int | None = None

    @property
    def folders(self) -> list[Path]:
        """The folders of the shares, in the order of the pairs."""
        return [Path(task.folder) for task in self.tasks]

    def order(self, epoch: int) -> None:
        """Start to sample this epoch, instead of any requested before. Raises DataError, PeerError."""
        if self._here is not None or self._ordered == epoch:
            return
        if not self._processes:
            self._processes = [_started(task) for task in self.tasks]
        for process in self._processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # its error is raised by `wait`
                process.stdin.write(f"{epoch}\n")
                process.stdin.flush()
        self._ordered, self._written = epoch, None

    def wait(self, epoch: int) -> None:
        """Wait until the epoch is written. Raises OSError if it cannot be, PeerError if a process has died."""
        if self._written == epoch:
            return
        self.order(epoch)
        if self._here is not None:
            self._here.write(epoch)
        for process in self._processes:
            while (answer := _answer(process, epoch)).get("epoch") != epoch:
                if "error" in answer:
                    raise OSError(answer["error"])
        self._written = epoch

    def close(self) -> None:
        """Stop the processes."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):
                    pipe.close()
        self._processes = []
        self._ordered = None


def _shares(task: Task) -> list[Task]:
    """Whole chunks to each process, about as many to each."""
    chunks = -(-(task.end - task.first) // CHUNK)
    processes = max(1, min(usable_cores(), chunks * CHUNK // PAIRS_A_PROCESS, chunks))
    cuts = [task.first + CHUNK * (chunks * number // processes) for number in range(processes)] + [task.end]
    return [
        replace(task, first=cuts[number], end=cuts[number + 1], folder=str(Path(task.folder) / f"part-{number}"))
        for number in range(processes)
    ]


def _started(task: Task) -> subprocess.Popen[str]:
    """In its own session, so that Ctrl-C only reaches its parent."""
    given = json.dumps([list(map(str, sys.path)), asdict(task)])
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", PROCESS, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise DataError(f"no process can be started to segment the training text: {error}") from error


def _answer(process: subprocess.Popen[str], epoch: int) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        return dict(json.loads(line))
    except ValueError as error:
        raise PeerError(
            f"a process that segments the training text for epoch {epoch} has died (status {process.wait()}); "
            "the same command continues the run from its last checkpoint"
        ) from error
