"""One trial: a training that is disturbed, perhaps several times, continued to its end, and compared with another."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.injection import Call, Fault, recorded
from faults.outcomes import damaged, differences, leftovers, outcome
from faults.trainings import words, write_texts
from system.scripts import Finished, run_script

from seq2seq.checkpoint import RunFolder

Also = Callable[[], object] | None


@dataclass(frozen=True)
class Reference:
    """An undisturbed training in `folder`: what it left, the calls that it made, and its seconds."""

    kind: str
    folder: Path
    outcome: dict[str, Any]
    calls: list[Call]
    seconds: float


def reference(kind: str, folder: Path, also: Also = None) -> Reference:
    """Train in the new `folder`."""
    folder.mkdir(parents=True)
    write_texts(folder)
    run_script("train", "--help", cwd=folder)  # the process that others are forked from has started
    began = time.monotonic()
    done = run_script("train", *words(kind), cwd=folder, prepare=Fault(folder, folder / "record", also=also))
    assert done.rc == 0, done.stderr
    assert leftovers(folder / "runs/it") == []
    return Reference(kind, folder, outcome(folder / "runs/it"), recorded(folder / "record"), time.monotonic() - began)


@dataclass
class Trial:
    """A training in its own `folder`, with an empty cache. `problems` says what went wrong, by the name of the law."""

    reference: Reference
    folder: Path
    also: Also = None
    problems: list[str] = field(default_factory=list)
    sessions: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        write_texts(self.folder)

    @property
    def run(self) -> Path:
        return self.folder / "runs/it"

    def session(
        self, *, codes: Sequence[int], killed_after: float | None = None, look: bool = True, **fault: Any
    ) -> Finished:
        """Train or continue, with a fault of this process; what is stored must be intact afterwards."""
        self.sessions += 1
        record = self.folder / f"record-{self.sessions}"
        prepare = Fault(self.folder, record, also=self.also, **fault)
        before = set(self.stored())
        done = run_script(
            "train", *words(self.reference.kind), cwd=self.folder, prepare=prepare, killed_after=killed_after
        )
        if done.rc not in codes:
            self.problems.append(f"exit code {done.rc}: {done.stderr[-300:]}")
        if "Traceback" in done.stderr:
            self.problems.append("traceback")
        if not look:
            return done
        self.look()
        newest = max(before | committed(recorded(record) if record.exists() else []), default=0)
        if max(self.stored(), default=0) < newest:
            self.problems.append(f"step-{newest} is lost")
        return done

    def look(self) -> None:
        """What is stored must be intact."""
        self.problems += [f"damaged {name}" for name in damaged(self.run)]

    def finish(self) -> None:
        """Continue undisturbed to the end, and compare."""
        done = run_script("train", *words(self.reference.kind), cwd=self.folder, prepare=self.also)
        if done.rc != 0:
            self.problems.append(f"manual repair: exit code {done.rc}: {done.stderr[-300:]}")
            return
        self.problems += [f"other {name}" for name in differences(self.reference.outcome, outcome(self.run))]
        self.problems += [f"left {name}" for name in leftovers(self.run)]

    def remove(self) -> None:
        """Delete its files."""
        shutil.rmtree(self.folder)

    def stored(self) -> list[int]:
        """The steps of the checkpoints."""
        return RunFolder(self.run).steps()


def committed(calls: Sequence[Call]) -> set[int]:
    """The steps whose checkpoints were renamed into place; failed calls have another name, and the last one may not
    have been made."""
    renamed = [call.paths[-1] for call in calls[:-1] if call.name == "os.rename"]
    found = (re.fullmatch(r"runs/it/checkpoints/step-(\d+)", path) for path in renamed)
    return {int(match[1]) for match in found if match}
