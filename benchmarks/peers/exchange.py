"""What ours and the peers exchange: sentence pairs as token ids, and weights, in numpy's own files; the task as JSON.

A folder holds task.json and train.npz or test.npz. Ids are those of our tokenizer; no begin or end symbol is stored.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PAD, UNK, BOS, EOS = 0, 1, 2, 3


class Pairs(NamedTuple):
    """Pair i has the source ids source_ids[source_offsets[i]:source_offsets[i + 1]], and the same for its target."""

    source_ids: np.ndarray
    source_offsets: np.ndarray
    target_ids: np.ndarray
    target_offsets: np.ndarray

    def sources(self) -> list[list[int]]:
        """Every source as a list."""
        return rows(self.source_ids, self.source_offsets)

    def targets(self) -> list[list[int]]:
        """Every target as a list."""
        return rows(self.target_ids, self.target_offsets)

    def target_length(self) -> float:
        """Tokens of a target, the end symbol counted: the mean."""
        return len(self.target_ids) / (len(self.target_offsets) - 1) + 1


def rows(ids: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    """The flat ids cut at the offsets."""
    return [part.tolist() for part in np.split(ids, offsets[1:-1])]


def write_pairs(file: Path, pairs: Any) -> None:
    """Of anything that has the four arrays."""
    np.savez(file, **{name: np.asarray(getattr(pairs, name)) for name in Pairs._fields})


def read_pairs(file: Path) -> Pairs:
    """What `write_pairs` wrote."""
    with np.load(file) as arrays:
        return Pairs(*(arrays[name] for name in Pairs._fields))


def write_task(folder: Path, task: dict[str, Any]) -> None:
    """What is to be built and how it is to be run."""
    (folder / "task.json").write_text(json.dumps(task, indent=2) + "\n", encoding="utf-8")


def read_task(folder: Path) -> dict[str, Any]:
    """What `write_task` wrote."""
    return json.loads((folder / "task.json").read_text(encoding="utf-8"))
