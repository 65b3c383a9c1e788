"""Batches side by side on the cores of a CPU: cores that share each small product wait for each other."""

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")
OVERHEAD = 128  # positions: torch computes a step of so many in the time that Python takes for one, as measured


def paying_workers(threads: int, positions: int) -> int:
    """How many workers to split a batch of so many positions among: at most as many as there are threads.

    Python does its part of a step for one worker at a time. So `n` workers with `p` positions each are never held up
    where torch computes n times as long as Python does, p >= n * OVERHEAD; more would wait for each other, and do more
    and smaller steps.
    """
    return max(1, min(threads, math.isqrt(positions // OVERHEAD)))


def side_by_side(work: Callable[[Batch], Result], batches: Sequence[Batch], workers: int) -> Generator[Result]:
    """work(batch) of each batch, in order, as many at a time as there are `workers`.

    One worker, or a single batch, has all of torch's threads. Otherwise each has its share of them for itself, so that
    what a batch comes to depends on no other. Torch works without Python's lock, so that they seldom wait for it.
    """
    workers = min(workers, len(batches))
    if workers <= 1:
        yield from map(work, batches)
        return
    usual = torch.get_num_threads()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def alone(batch: Batch) -> Result:
        """What holds for a thread alone is set anew in this one."""
        torch.set_num_threads(max(1, usual // workers))
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=autocast):
            return work(batch)

    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(alone, batches)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(usual)
