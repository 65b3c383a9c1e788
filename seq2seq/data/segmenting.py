"""The sampled segmentation of training pairs for an epoch, and the process for a share of them.

Neither this module nor its imports need torch, so that the process starts quickly.
"""

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.data.stored import SIDES, Pairs, StoredTexts, map_array
from seq2seq.tokenizer import Tokenizer
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import Runs, RunSplitter
from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.sentencepiece import sampler_of

CHUNK = 4096  # pairs per chunk
PATIENCE = 5.0  # seconds between checks that the parent is alive

Row = tuple[np.ndarray, np.ndarray]  # concatenated ids of texts, and the length of each


@dataclass(frozen=True)
class Task:
    """The input of a sampling process: plain values, sent as JSON."""

    texts: str  # folder of the stored text
    source_prefix: str
    target_start: list[int]  # ids that each target begins with
    ids: str  # folder of the usual ids
    id_types: tuple[str, str]  # of source and target
    tokenizer: str  # folder
    model_type: str
    strength: float
    longest: tuple[int, int]  # tokens of source and target
    seed: int
    first: int  # of the pairs
    end: int
    folder: str  # for what is written


class Segmenter:
    """Samples a segmentation of pairs `first` to `end - 1`, a function of (seed, epoch, pair).

    A side whose sampled segmentation is too long keeps its usual one.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        ids = Path(task.ids)
        texts = StoredTexts(Path(task.texts), "", task.source_prefix, "")
        self._pairs = Pairs(texts, map_array(ids / "rows", np.int64))
        self._usual = [
            (map_array(ids / f"{side}.ids", np.dtype(kind)), map_array(ids / f"{side}.offsets", np.int64))
            for side, kind in zip(SIDES, task.id_types, strict=True)
        ]
        tokenizer = Tokenizer.load(Path(task.tokenizer))
        sides = [tokenizer.source] if tokenizer.joint else [tokenizer.source, tokenizer.target]
        self._samplers: list[Sampler] = [sampler_of(task.model_type, side, task.strength) for side in sides]
        self._splitters = [RunSplitter(side) for side in sides]
        Path(task.folder).mkdir(parents=True, exist_ok=True)

    def chunks(self, epoch: int) -> Iterator[tuple[Row, Row]]:
        """The pairs of this epoch, source and target, chunk by chunk."""
        for start in range(self.task.first, self.task.end, CHUNK):
            end = min(start + CHUNK, self.task.end)
            yield self._drawn(0, epoch, start, end), self._drawn(1, epoch, start, end)

    def write(self, epoch: int, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Write the ids and lengths of all chunks to the folder; False if it was interrupted."""
        for old in Path(self.task.folder).glob("epoch-*"):
            old.unlink()
        with ExitStack() as stack:
            names = [part_file(Path(self.task.folder), epoch, side, kind) for side in SIDES for kind in KINDS]
            files = [stack.enter_context(name.open("wb")) for name in names]
            for chunk in self.chunks(epoch):
                for array, file in zip((array for row in chunk for array in row), files, strict=True):
                    file.write(array.tobytes())
                if not go_on():
                    return False
        return True

    def _drawn(self, side: int, epoch: int, start: int, end: int) -> Row:
        keys = keys_of(self.task.seed, epoch, side, count=end - start, first=start)
        ids, lengths = self._samplers[side % len(self._samplers)].sample(self._runs(side, start, end), keys)
        if side:
            ids, lengths = _begun(ids, lengths, self.task.target_start)
        usual, offsets = self._usual[side]
        too_long = np.flatnonzero(lengths > self.task.longest[side])
        if len(too_long):
            rows = np.split(ids, np.cumsum(lengths)[:-1])
            for row in too_long:
                rows[row] = usual[offsets[start + row] : offsets[start + row + 1]].astype(ids.dtype)
            ids, lengths = np.concatenate(rows), np.array([len(row) for row in rows])
        return ids.astype(usual.dtype), lengths.astype(np.int64)

    def _runs(self, side: int, start: int, end: int) -> Runs:
        """The runs of a chunk: computed in the first epoch and kept for the others."""
        kept = Path(self.task.folder) / f"{SIDES[side]}-{start}.npz"
        if kept.exists():
            with np.load(kept) as arrays:
                return Runs(**arrays)
        texts = (self._pairs.targets if side else self._pairs.sources)(start, end)
        runs = self._splitters[side % len(self._splitters)].split(texts)
        made = kept.with_suffix(".making.npz")
        np.savez(made, **{field.name: getattr(runs, field.name) for field in fields(Runs)})
        made.rename(kept)
        return runs


def _begun(ids: np.ndarray, lengths: np.ndarray, start: list[int]) -> Row:
    """Rows that begin with the ids `start`."""
    places = np.repeat(np.cumsum(lengths) - lengths, len(start))
    return np.insert(ids, places, np.tile(start, len(lengths))) if start else ids, lengths + len(start)


KINDS = ("ids", "lengths")


def part_file(folder: Path, epoch: int, side: str, kind: str) -> Path:
    """The file of a process for an epoch."""
    return folder / f"epoch-{epoch}.{side}.{kind}"


def serve(given: dict[str, Any]) -> None:
    """Write each epoch whose number is read from stdin, and print a line of JSON when it is written.

    A number that arrives earlier replaces the current one. Ends with the parent, when the pipe is closed.
    """
    orders = _Orders(sys.stdin.fileno())
    try:
        segmenter = Segmenter(Task(**given))
        while (epoch := orders.next()) is not None:
            if segmenter.write(epoch, go_on=lambda: not orders.waiting()):
                print(json.dumps({"epoch": epoch}), flush=True)
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        print(json.dumps({"error": error.strerror or str(error)}), flush=True)


class _Orders:
    """Lines on a pipe, each a number."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._read = b""
        self._parent = os.getppid()

    def next(self) -> int | None:
        """Wait for the latest number; None at the end."""
        while b"\n" not in self._read or self.waiting(0.0):
            if self.waiting(PATIENCE):
                more = os.read(self._pipe, 1024)
                if not more:
                    return None
                self._read += more
            if os.getppid() != self._parent:
                return None
        *_, last, self._read = self._read.split(b"\n")
        return int(last)

    def waiting(self, seconds: float = 0.0) -> bool:
        """Whether a number has arrived, or the other end is closed."""
        return bool(select.select([self._pipe], [], [], seconds)[0]) or os.getppid() != self._parent
