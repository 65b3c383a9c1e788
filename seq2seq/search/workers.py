"""Parallel batches on the cores of a CPU: cores that share each small product wait for each other."""

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")
OVERHEAD = 128  # positions: torch computes a step of this many in the time that Python needs for a step, as measured

_SHARING = Lock()  # held while torch's threads are shared out


def usual_threads() -> int:
    """The number of torch's threads for an operation in this thread."""
    with _SHARING:  # a new thread takes over what was set last, in whichever thread
        return torch.get_num_threads()


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
    usual = usual_threads()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def alone(batch: Batch) -> Result:
        """Sets torch's per-thread state in this thread."""
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=autocast):
            return work(batch)

    pool = _pool(workers, usual)
    try:
        yield from pool.map(alone, batches)
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int, usual: int) -> ThreadPoolExecutor:
    """Threads that have an equal share of `usual` threads each; all other threads of the process keep theirs."""
    ready = Barrier(workers + 1)

    def take_share() -> None:
        torch.get_num_threads()  # the first call in a thread sets it to what was set last
        torch.set_num_threads(max(1, usual // workers))
        ready.wait()

    with _SHARING:
        pool = ThreadPoolExecutor(workers, initializer=take_share)
        try:
            for _ in range(workers):
                pool.submit(int)  # starts a thread
            ready.wait()
        except BaseException:
            ready.abort()
            raise
        finally:
            torch.set_num_threads(usual)  # for threads that are yet to start
    return pool
