"""Forced decoding: the log-probabilities of given targets."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.data.batches import by_length, collate_sources
from seq2seq.model.model import Model
from seq2seq.search.decode import evaluating
from seq2seq.types import BOS, PAD, Batch


def forced_log_probs(
    model: Model,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    device: torch.device,
    tokens_per_batch: int,
    target_start: Sequence[int] = (),
    on_batch: Callable[[int], None] | None = None,
) -> list[float]:
    """log p(target and end | source) in nats of each pair (token ids without end symbols), in the order given.

    These are the log-probabilities that search gives the same hypotheses: of what follows `target_start`, if the
    targets begin with it. A batch holds at most `tokens_per_batch`
    positions of the longer side. `on_batch` is called with the number of pairs of each batch. The model is in eval mode
    meanwhile.
    """
    results = [0.0] * len(sources)
    targets = [[*target_start, *target] for target in targets]
    lengths = np.array([max(map(len, pair)) for pair in zip(sources, targets, strict=True)], dtype=np.int64)
    with evaluating(model):
        for rows in by_length(lengths, tokens_per_batch):
            batch = _collate([sources[i] for i in rows], [targets[i] for i in rows]).to(device)
            found = model.log_probs(batch).gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)
            totals = found.double().where(batch.target_mask, 0.0)[:, len(target_start) :].sum(1)
            for i, total in zip(rows, totals.tolist(), strict=True):
                results[i] = total
            if on_batch is not None:
                on_batch(len(rows))
    return results


def _collate(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Batch:
    source, source_mask = collate_sources(sources)
    numbers = torch.arange(len(sources))
    return Batch(source, source_mask, *collate_targets(targets), source_mask.sum(1), numbers)


def collate_targets(
    targets: Sequence[Sequence[int]],
) -> tuple[Int[Tensor, "N T"], Int[Tensor, "N T"], Bool[Tensor, "N T"]]:
    """The decoder's inputs, its targets, and their mask."""
    target_out, mask = collate_sources(targets)
    target_in = target_out.roll(1, 1).masked_fill(~mask, PAD)
    target_in[:, 0] = BOS
    return target_in, target_out, mask
