"""Micro-batches on the device: the same wherever the corpus is, and with few shapes on request."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch

from seq2seq.data.batches import collate, cut
from seq2seq.data.shapes import Shape, padded
from seq2seq.training import micro_batches as module
from seq2seq.training.micro_batches import MicroBatches, fits
from seq2seq.types import Batch

CPU = torch.device("cpu")


@dataclass
class Ids:
    source_lengths: np.ndarray
    target_lengths: np.ndarray

    def __post_init__(self) -> None:
        for side in ("source", "target"):
            lengths = getattr(self, f"{side}_lengths")
            setattr(self, f"{side}_offsets", np.concatenate(([0], np.cumsum(lengths))))
            setattr(self, f"{side}_ids", np.arange(4, 4 + int(lengths.sum()), dtype=np.uint16))


IDS = Ids(np.array([3, 1, 4, 1, 5], np.int32), np.array([2, 7, 1, 8, 2], np.int32))
BLOCKS = [np.array([0, 2, 4]), np.array([1, 3])]


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Batch))


@pytest.mark.parametrize("resident", [True, False])
def test_micro_batches(resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fits", lambda corpus, device: resident)
    feed = MicroBatches(CPU, 20)
    feed.open(IDS)
    assert (feed._resident is not None) is resident
    batches = feed.cut(BLOCKS)
    expected = cut(IDS, BLOCKS, 20)
    assert [(rows.tolist(), shape) for rows, shape in batches] == [(rows.tolist(), None) for rows in expected]
    assert all(same(feed.batch(rows, shape), collate(IDS, rows)) for rows, shape in batches)


@pytest.mark.parametrize("resident", [True, False])
def test_micro_batches_of_few_shapes(resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fits", lambda corpus, device: resident)
    feed = MicroBatches(CPU, 20)
    feed.shapes = [Shape(2, 6, 9)]
    feed.open(IDS)
    batches = feed.cut(BLOCKS)
    assert sorted(np.concatenate([rows for rows, _ in batches]).tolist()) == [0, 1, 2, 3, 4]
    assert {shape for _, shape in batches} == {Shape(2, 6, 9)}
    assert all(same(feed.batch(rows, shape), padded(collate(IDS, rows), shape)) for rows, shape in batches)


def test_only_a_gpu_stores_a_corpus() -> None:
    assert not fits(IDS, CPU)
