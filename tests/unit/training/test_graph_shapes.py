"""The shapes of CUDA graphs come from sampled segmentations, as in training."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from shape_checks import unchecked
from unit.data.test_shapes import Ids

from seq2seq.data.shapes import cut_to, shapes_for
from seq2seq.data.updates import plan_epoch
from seq2seq.training.planned_updates import MEASURED_EPOCHS, PlannedUpdates


def corpus(seed: int, factor: float, pairs: int = 3000) -> Any:
    """Lengths like those of sentences; with sampling, pieces are shorter and there are more of them."""
    lengths = np.random.default_rng(0).gamma(6, 2.3, pairs)
    drawn = lengths * factor * np.random.default_rng(seed).normal(1, 0.1, (2, pairs))
    source, target = np.maximum(1, drawn).astype(np.int32)
    return Ids(source, target)


def test_shapes_are_taken_from_sampled_epochs() -> None:
    epochs: list[int] = []

    def train(epoch: int) -> Any:
        epochs.append(epoch)
        return corpus(epoch + 1, 1.4)

    data: Any = SimpleNamespace(corpora={"train": corpus(0, 1.0)}, train=train)
    settings: Any = SimpleNamespace(tokens_per_batch=4096, tokens_per_update=4096, count="target")
    with unchecked():
        shapes = shapes_for(PlannedUpdates(data, settings, seed=1).measured(), settings.tokens_per_batch)
    assert epochs == list(range(MEASURED_EPOCHS))  # whatever the number of micro-batches
    later, real, cells, unknown = corpus(9, 1.4), 0, 0, 0
    plan = plan_epoch(later.source_lengths, later.target_lengths, seed=1, epoch=8, tokens_per_update=4096)
    for blocks in plan:
        for rows, shape in cut_to(later, blocks, 4096, shapes):
            unknown += shape not in shapes
            real += int(later.source_lengths[rows].sum() + later.target_lengths[rows].sum()) + 2 * len(rows)
            cells += shape.cells
    assert unknown <= 1
    assert 1 - real / cells < 0.3
