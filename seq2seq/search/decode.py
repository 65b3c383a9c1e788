"""Decode many sentences, batched by length, with results in order. Used by validation, evaluation and translation."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from seq2seq.data.batches import by_length, collate_sources
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.outside import OutsideModel
from seq2seq.search.processes import in_processes, paying_processes, share_of_batch
from seq2seq.search.shortlists import Shortlists
from seq2seq.search.workers import paying_workers, side_by_side, usual_threads
from seq2seq.types import EOS, PAD

FEW = 4  # batches for each process, among which a surplus one would matter


def decode(
    model: Stepwise | OutsideModel,
    search: Search,
    sentences: Sequence[Sequence[int]],
    *,
    device: torch.device,
    tokens_per_batch: int,
    prefixes: Sequence[Sequence[int]] | None = None,
    numbers: Sequence[int] | None = None,
    shortlists: Shortlists | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[list[Hypothesis]]:
    """Hypotheses, best first, of each sentence (token ids without the end symbol), in the order given.

    `prefixes` are the ids that each sentence's targets begin with; an empty one sets no beginning. `numbers` are the
    sentences' numbers within a larger text, for searches that sample; None: 0, 1, 2, ... A batch holds at most
    `tokens_per_batch` source positions, beams not counted; on a CPU parallel batches in threads share these
    positions, those in processes four times as many (search/processes.py). A sentence with neither tokens nor a
    prefix has one empty hypothesis. With `shortlists` outputs have only the tokens of these. `on_batch` is called
    with the number of sentences of each batch; what it raises ends the decoding. The model is in eval mode meanwhile.
    An OutsideModel takes neither prefixes nor shortlists.
    """
    results: list[list[Hypothesis]] = [[Hypothesis([], 0.0, 0.0)] for _ in sentences]
    begun = prefixes or [[]] * len(sentences)
    full = np.array([i for i, sentence in enumerate(sentences) if len(sentence) or len(begun[i])], dtype=np.int64)
    if isinstance(model, OutsideModel):
        if prefixes is not None or shortlists is not None:
            raise ValueError("a model that searches itself takes neither prefixes nor shortlists")
        chosen = [sentences[i] for i in full]
        found_outside = model.decode(search, chosen, tokens_per_batch=tokens_per_batch, on_batch=on_batch)
        for i, hypotheses in zip(full, found_outside, strict=True):
            results[i] = hypotheses
        return results
    lengths = np.array([len(sentences[i]) for i in full], dtype=np.int64)
    own = torch.arange(len(sentences)) if numbers is None else torch.tensor(numbers, dtype=torch.long)
    batches, parallel = _shared_out(lengths, tokens_per_batch, device)

    def found(rows: np.ndarray) -> list[list[Hypothesis]]:
        source, mask = collate_sources([sentences[i] for i in full[rows]])
        prefix = None if prefixes is None else _collate_prefixes([begun[i] for i in full[rows]]).to(device)
        source, mask, number = source.to(device), mask.to(device), own[full[rows]].to(device)
        if shortlists is None:
            return search(model, source, mask, prefix, number)
        return shortlists.search(search, model, source, mask, prefix, number)

    with evaluating(model), closing(parallel(found, batches)) as answered:
        for rows, answers in zip(batches, answered, strict=True):
            for i, hypotheses in zip(full[rows], answers, strict=True):
                results[i] = hypotheses
            if on_batch is not None:
                on_batch(len(rows))
    return results


def _shared_out(
    lengths: np.ndarray, tokens_per_batch: int, device: torch.device
) -> tuple[list[np.ndarray], Callable[..., Generator[list[list[Hypothesis]]]]]:
    """The batches, and what computes several of them at once."""
    threads = usual_threads() if device.type == "cpu" else 1
    positions = int(lengths.sum()) + len(lengths)
    processes = paying_processes(threads, positions, tokens_per_batch)
    workers = paying_workers(threads, tokens_per_batch)
    if processes > 1 and processes >= workers:  # else some cores would have nothing to do
        size = share_of_batch(processes, tokens_per_batch)
        return _balanced(lengths, size, processes), partial(in_processes, processes=processes)
    return list(by_length(lengths, tokens_per_batch // workers)), partial(side_by_side, workers=workers)


def _balanced(lengths: np.ndarray, tokens_per_batch: int, processes: int) -> list[np.ndarray]:
    """Batches of which each process gets equally many, or almost."""
    share = (int(lengths.sum()) + len(lengths)) / processes
    for rounds in range(int(share // tokens_per_batch) + 1, FEW + 1):
        size = share / rounds
        while size <= tokens_per_batch:  # it grows by what padding takes
            batches = list(by_length(lengths, int(size)))
            if len(batches) <= rounds * processes:
                return batches
            size *= 1.02
    return list(by_length(lengths, tokens_per_batch))


@contextmanager
def evaluating(model: Stepwise) -> Iterator[None]:
    """A context with the model in eval mode and without gradients."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def _collate_prefixes(prefixes: Sequence[Sequence[int]]) -> Int[Tensor, "B P"]:
    """Padded, without an end symbol."""
    ids, _ = collate_sources(prefixes)
    return ids.masked_fill(ids == EOS, PAD)[:, :-1]
