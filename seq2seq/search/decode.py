"""Decode many sentences: batched by length, answered in order. Validation, evaluation and translation all come here."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from seq2seq.data.batches import by_length, collate_sources
from seq2seq.model.model import Model
from seq2seq.search.base import Hypothesis, Search


def decode(
    model: Model,
    search: Search,
    sentences: Sequence[Sequence[int]],
    *,
    device: torch.device,
    tokens_per_batch: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[list[Hypothesis]]:
    """Hypotheses, best first, of each sentence (token ids without the end symbol), in the order given.

    A batch holds at most `tokens_per_batch` source positions, beams not counted. A sentence without tokens has one
    empty hypothesis. `on_batch` hears how many sentences each batch held. The model
    is put in eval mode for the time being.
    """
    results: list[list[Hypothesis]] = [[Hypothesis([], 0.0, 0.0)] for _ in sentences]
    full = np.array([i for i, sentence in enumerate(sentences) if len(sentence)], dtype=np.int64)
    lengths = np.array([len(sentences[i]) for i in full], dtype=np.int64)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for rows in by_length(lengths, tokens_per_batch):
                source, mask = collate_sources([sentences[i] for i in full[rows]])
                found = search(model, source.to(device), mask.to(device))
                for i, hypotheses in zip(full[rows], found, strict=True):
                    results[i] = hypotheses
                if on_batch is not None:
                    on_batch(len(rows))
    finally:
        model.train(training)
    return results
