"""The training pairs of each epoch with sampled segmentation: prepared in advance, shared by a run's processes."""

import os
import shutil
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from seq2seq.config.schema import LengthSettings
from seq2seq.data.claimed import ClaimedFolder
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.segmenting import KINDS, Task, part_file
from seq2seq.data.segmenting_processes import SegmentingProcesses
from seq2seq.data.stored import SIDES, map_array
from seq2seq.errors import StorageError
from seq2seq.tokenizer import SentencePiece, Tokenizer

LOOK_AGAIN = 0.02  # seconds


class Resampler:
    """Samples a segmentation of every training pair for an epoch: a function of (seed, epoch, pair).

    The first of a run's processes (those with the same `name`) does this, for the next epoch during the current one;
    all of them map the same files. They are in the cache until the next epoch has begun.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        tokenizer: Tokenizer,
        settings: SentencePiece,
        length: LengthSettings,
        seed: int,
        *,
        cache: Path,
        name: str,
    ) -> None:
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.settings = settings
        self.longest = (length.max_source, length.max_target)
        self.seed = seed
        self.cache = cache
        self._epoch: tuple[int, EncodedCorpus] | None = None
        self._requested = 0
        self._lead(name)

    def encode(self, epoch: int) -> EncodedCorpus:
        """The corpus of this epoch; starts the next one. Raises StorageError, PeerError, DataError."""
        if self._epoch is None or self._epoch[0] != epoch:
            self._requested += 1
            with self._storage_errors():
                if not self.folder.is_mine and not self._appears(epoch):
                    self._lead(f"{self.folder.path.name}-{time.time_ns()}")
                self._epoch = epoch, self._led(epoch) if self.folder.is_mine else self._open(epoch)
        return self._epoch[1]

    def close(self) -> None:
        """Stop the processes and remove the files; mapped files stay readable. Also called at exit."""
        self._close()

    def _lead(self, name: str) -> None:
        """Claim a folder and start the sampling processes, if no other process has."""
        with self._storage_errors():
            self.folder = ClaimedFolder(self.cache / "epochs", name)
            self._close = weakref.finalize(self, _end, None, self.folder, os.getpid())
            if not self.folder.is_mine:
                return
            self.tokenizer.save(self.folder.path / "tokenizer")
            texts = self.corpus.pairs.texts
            self.processes = SegmentingProcesses(
                Task(
                    texts=str(texts.folder),
                    source_prefix=texts.source_prefix,
                    target_start=list(self.corpus.target_start),
                    ids=str(self.corpus.folder),
                    id_types=(self.corpus.source_ids.dtype.name, self.corpus.target_ids.dtype.name),
                    tokenizer=str(self.folder.path / "tokenizer"),
                    model_type=self.settings.model_type,
                    strength=self.settings.sampling,
                    longest=self.longest,
                    seed=self.seed,
                    first=0,
                    end=len(self.corpus),
                    folder=str(self.folder.path),
                )
            )
            self._close.detach()
            self._close = weakref.finalize(self, _end, self.processes, self.folder, os.getpid())

    def _led(self, epoch: int) -> EncodedCorpus:
        """The epoch, sampled if it has not been; earlier epochs are removed and the next one is requested."""
        with (self.folder.path / "begun").open("a") as begun:
            begun.write(f"{epoch}\n")
        for old in self.folder.path.glob("epoch-*"):
            shutil.rmtree(old, ignore_errors=True)
        self.processes.wait(epoch)
        self._join(epoch)
        corpus = self._open(epoch)
        self.processes.order(epoch + 1)
        return corpus

    def _join(self, epoch: int) -> None:
        """Join the parts of an epoch into its files, which appear together."""
        making = self.folder.path / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        for side in SIDES:
            ids, lengths = ([part_file(part, epoch, side, kind) for part in self.processes.folders] for kind in KINDS)
            with (making / f"{side}.ids").open("wb") as joined:
                for path in ids:
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, joined, 1 << 20)
            counts = np.concatenate([np.fromfile(path, np.int64) for path in lengths])
            with (making / f"{side}.offsets").open("wb") as file:
                file.write(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64).tobytes())
            for path in (*ids, *lengths):
                path.unlink()
        making.rename(self._place(epoch))

    def _open(self, epoch: int) -> EncodedCorpus:
        place, usual = self._place(epoch), self.corpus
        return replace(
            usual,
            source_ids=map_array(place / "source.ids", usual.source_ids.dtype),
            source_offsets=map_array(place / "source.offsets", np.int64),
            target_ids=map_array(place / "target.ids", usual.target_ids.dtype),
            target_offsets=map_array(place / "target.offsets", np.int64),
            folder=place,
        )

    def _appears(self, epoch: int) -> bool:
        """Wait for an epoch from another process; False if that one is past it, or has ended."""
        while not self._place(epoch).exists():
            if self.folder.is_free() or self._gone_past(epoch):
                return False
            time.sleep(LOOK_AGAIN)
        return True

    def _gone_past(self, epoch: int) -> bool:
        """Whether the sampling process is at a later epoch than this one; all request the same epochs."""
        begun = self.folder.path / "begun"
        requested = begun.read_text().split("\n")[:-1] if begun.exists() else []
        return len(requested) > self._requested or (len(requested) == self._requested and requested[-1] != str(epoch))

    def _place(self, epoch: int) -> Path:
        return self.folder.path / f"epoch-{epoch}"

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"the cache {self.cache} cannot be written: {reason}. "
                "Free some space, or name another folder: cache_dir=FOLDER"
            ) from error


def _end(processes: SegmentingProcesses | None, folder: ClaimedFolder, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that owns them
        return
    if processes is not None:
        processes.close()
    folder.remove()
