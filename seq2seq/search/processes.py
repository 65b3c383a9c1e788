"""Parallel batches in forked processes, which do not wait for each other's Python as threads do."""

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from seq2seq.interrupts import ENDING
from seq2seq.runtime.forks import forks_allowed

Batch = TypeVar("Batch")
Result = TypeVar("Result")
WORTH_IT = 2048  # positions: a new process has its own memory to fill, for as long as it takes to translate about these
TOGETHER = 4  # times tokens_per_batch: decoding these with a beam of 5 takes about the memory of training one batch
LEAST = 512  # positions of a batch: smaller ones have more and smaller steps


def paying_processes(threads: int, positions: int, tokens_per_batch: int) -> int:
    """The number of processes for this many positions, at most the number of threads; 1 where forks are not allowed."""
    if not forks_allowed():
        return 1
    return max(1, min(threads, positions // WORTH_IT, TOGETHER * tokens_per_batch // LEAST))


def share_of_batch(processes: int, tokens_per_batch: int) -> int:
    """The positions of a batch in each of several processes."""
    return min(tokens_per_batch, TOGETHER * tokens_per_batch // processes)


def in_processes(work: Callable[[Batch], Result], batches: Sequence[Batch], processes: int) -> Generator[Result]:
    """work(batch) of each batch, in order. Each process computes one at a time, with one of torch's threads. Where the
    system allows no new process, this one computes all.

    An error in a process is raised here; MemoryError, if the system ended it. All of them end with the generator.
    """
    context = multiprocessing.get_context("fork")
    waiting = deque(range(len(batches)))
    workers: dict[Connection, BaseProcess] = {}
    found: dict[int, Result] = {}
    try:
        for _ in range(min(processes, len(batches))):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(work, batches, theirs), daemon=True)
            try:
                _start(process)
            except OSError:  # no memory for a copy, or too many processes
                break
            workers[ours] = process
            theirs.close()
            ours.send(waiting.popleft())
        if not workers:
            yield from map(work, batches)
            return
        for number in range(len(batches)):
            while number not in found:
                for worker in cast(list[Connection], wait(list(workers))):
                    done, result = _answer(worker)
                    found[done] = result
                    if waiting:
                        worker.send(waiting.popleft())
            yield found.pop(number)
    finally:
        for connection, process in workers.items():
            process.kill()
            process.join()
            connection.close()


def _start(process: BaseProcess) -> None:
    """With signals blocked, in the new process for good: this one ends it."""
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDING})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _answer(worker: Connection) -> tuple[int, Any]:
    try:
        number, result, error = worker.recv()
    except (EOFError, ConnectionError):
        raise MemoryError("a process that searched has ended: the system may have run out of memory") from None
    if error is not None:
        raise error
    return number, result


def _serve(work: Callable[[Batch], Result], batches: Sequence[Batch], connection: Connection) -> None:
    """Answer until the connection ends, as it does with the process at its other end."""
    _close_all_but(connection.fileno())
    torch.set_num_threads(1)
    with suppress(EOFError, ConnectionError):
        while True:
            number = connection.recv()
            answer: tuple[int, Result | None, Exception | None]
            try:
                answer = number, work(batches[number]), None
            except Exception as error:
                error.add_note(f"In a process that searched:\n{traceback.format_exc()}")
                answer = number, None, error
            connection.send(answer)


def _close_all_but(descriptor: int) -> None:
    """Files and connections of the first process, whose locks and ends would otherwise outlive it."""
    last = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, last + 1)
