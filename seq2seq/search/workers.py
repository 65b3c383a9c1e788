"""Parallel batches on the cores of a CPU: cores that share each small product wait for each other."""

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")
OVERHEAD = 128  # positions: torch computes a step of this many in the time that Python needs for a step, as measured


def paying_workers(threads: int, positions: int) -> int:
    """The number of workers for a batch of this many positions, at most the number of threads.

    Python runs for one worker at a time. So `n` workers with `p` positions each do not wait if torch computes n times
    as long as Python, p >= n * OVERHEAD; more would wait for each other, and do more and smaller steps.
    """
    return max(1, min(threads, math.isqrt(positions // OVERHEAD)))


def side_by_side(work: Callable[[Batch], Result], batches: Sequence[Batch], workers: int) -> Generator[Result]:
    """work(batch) of each batch, in order, with `workers` in parallel.

    One worker, or a single batch, has all of torch's threads. Otherwise each has its own share of them, so that the
    result of a batch does not depend on others. Torch releases Python's lock, so they seldom wait for it.
    """
    workers = min(workers, len(batches))
    if workers <= 1:
        yield from map(work, batches)
        return
    usual = torch.get_num_threads()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def alone(batch: Batch) -> Result:
        """Sets torch's per-thread state in this thread."""
        torch.set_num_threads(max(1, usual // workers))
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=autocast):
            return work(batch)

    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(alone, batches)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(usual)
