"""Batches side by side on the cores of a CPU, each on one: cores that share each small product wait for each other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Batch], Result], batches: Sequence[Batch], workers: int) -> Iterator[Result]:
    """work(batch) of each batch, in order, as many at a time as there are `workers`.

    One worker, or a single batch, has all of torch's threads. Otherwise each has a thread of its own, so that what a
    batch comes to depends on no other. Torch works without Python's lock, so that they seldom wait for it.
    """
    if min(workers, len(batches)) <= 1:
        yield from map(work, batches)
        return
    usual = torch.get_num_threads()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def alone(batch: Batch) -> Result:
        """What holds for a thread alone is set anew in this one."""
        torch.set_num_threads(1)
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=autocast):
            return work(batch)

    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(alone, batches)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(usual)
