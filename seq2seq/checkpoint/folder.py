"""A run folder: where each thing lies, which runs exist, and the lock that keeps two trainers apart."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from seq2seq.checkpoint.storage import discard, storage_errors
from seq2seq.config.run_links import refuse_links_out
from seq2seq.config.stored_run import run_path
from seq2seq.errors import CheckpointError, StorageError
from seq2seq.locks import FileLock

MANIFEST = "manifest.json"
LOCK = ".lock"
MODEL, OPTIMIZER = "model", "optimizer"  # the groups of tensors that every checkpoint has
AVERAGED = "ema"  # the group of a moving average of the model's tensors
AVERAGE, AVERAGE_BEST = "average", "average-best"  # means of several checkpoints, by name
TENSORS = ".safetensors"  # how the file of a group ends
LONGEST_NAME = 100  # bytes of a file that names a checkpoint
STATE, VALIDATED = "state.json", "validated.json"  # the second: the state after the checkpoint's validation


@dataclass(frozen=True)
class RunFolder:
    """Everything that one run writes, below `path`."""

    path: Path

    @classmethod
    def of(cls, run: str) -> "RunFolder":
        """The folder of a run, which is given by its name or its path."""
        return cls(run_path(run))

    @property
    def name(self) -> str:
        """The run's name, as messages show it."""
        return self.path.name

    @property
    def config_file(self) -> Path:
        """The resolved configuration; a folder is a run if it has one."""
        return self.path / "config.yaml"

    @property
    def tokenizer_folder(self) -> Path:
        """SentencePiece models."""
        return self.path / "tokenizer"

    @property
    def lexicon_file(self) -> Path:
        """Which target tokens translate which source tokens; written when it is first needed."""
        return self.path / "lexicon.npz"

    def ranges_file(self, weights: str) -> Path:
        """The ranges of activations of these weights, for precision=int8; written when they are first needed."""
        return self.path / "int8" / f"{weights}.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def eval_folder(self) -> Path:
        """Scores and hypotheses of evaluate.py."""
        return self.path / "eval"

    @property
    def export_folder(self) -> Path:
        """The model in the formats of other programs, a folder each."""
        return self.path / "export"

    @property
    def checkpoints(self) -> Path:
        """Holds one folder a saved step."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """What names the best checkpoint; `best_checkpoint` reads it."""
        return self.path / "best"

    def best_checkpoint(self) -> Path | None:
        """The folder of the best checkpoint; None where none is marked.

        `best` is a relative link to it. On a file system without links, and in a copy made by a tool that writes links
        as text, it is a file that holds the link's text; a copy that followed the link has a folder there.
        """
        if self.best.is_dir():
            return self.best.resolve()  # the link may move on while we read
        named = b""
        with suppress(OSError), self.best.open("rb") as file:
            named = file.read(LONGEST_NAME)
        match = re.fullmatch(rb"checkpoints/step-(\d+)\s*", named)
        path = self.checkpoint(int(match[1])) if match else None
        return path if path is not None and path.is_dir() else None

    def checkpoint(self, step: int) -> Path:
        """The folder of the checkpoint saved after update `step`."""
        return self.checkpoints / f"step-{step}"

    def exists(self) -> bool:
        """Whether a run has begun here."""
        return self.config_file.exists()  # also as a pipe: reading it is an error

    def steps(self) -> list[int]:
        """The saved steps, rising."""
        if not self.checkpoints.is_dir():
            return []
        found = (re.fullmatch(r"step-(\d+)", entry.name) for entry in self.checkpoints.iterdir() if entry.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def refuse_links(self) -> None:
        """Raise StorageError where a link has the name of a file or folder that a run writes, which would be written
        elsewhere, and CheckpointError where one inside these leads out of the run's folder."""
        folders = (self.checkpoints, self.tokenizer_folder, self.eval_folder, self.export_folder)
        for path in (*folders, self.metrics_file, self.path / LOCK):
            if path.is_symlink():
                advice = "replace the link by what it points to (the run folder itself may be a link)"
                raise StorageError(f"{path} is a link, and a run writes only inside its own folder: {advice}")
        refuse_links_out(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process alone; the system lets go of it even if the process is killed.

        Where no run has begun by the end, what was made meanwhile is removed. Raises CheckpointError if another trainer
        holds it, StorageError if the folder cannot be written.
        """
        self.refuse_links()
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        with storage_errors(f"write in the run folder {self.path}"):
            self.path.mkdir(parents=True, exist_ok=True)
            before = set(self.path.iterdir())
            lock = FileLock(self.path / LOCK)
            taken = lock.take()
        if not taken:
            advice = "wait for it to end, or train another with run=NAME"
            raise CheckpointError(f"run {self.name} is being trained by {lock.holder()}; {advice}")
        try:
            if not lock.path.exists():
                raise CheckpointError(f"run {self.name} was being trained by another process just now; try again")
            yield
        finally:
            if not self.exists():
                self._clear(before, made)
            lock.release()

    def _clear(self, before: Collection[Path], made: Sequence[Path]) -> None:
        """Remove what was not there `before`, and the folders that were `made` for it, as far as the disk allows."""
        with suppress(OSError):
            for entry in set(self.path.iterdir()) - set(before):
                discard(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            for folder in made:
                folder.rmdir()
