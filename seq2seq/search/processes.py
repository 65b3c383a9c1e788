"""Parallel batches in forked processes, which do not wait for each other's Python as threads do."""

import ctypes
import multiprocessing
import os
import pickle
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
PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that a process gets when the one that started it ends
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

    An error in a process is raised here; MemoryError, if the system killed it. All of them end with the generator, and
    with this process.
    """
    context = multiprocessing.get_context("fork")
    waiting = deque(range(len(batches)))
    workers: dict[Connection, BaseProcess] = {}
    found: dict[int, Result] = {}
    try:
        for _ in range(min(processes, len(batches))):
            ours, theirs = context.Pipe()
            workers[ours] = context.Process(target=_serve, args=(work, batches, theirs, os.getpid()), daemon=True)
            try:
                _start(workers[ours])
            except OSError:  # no memory for a copy, or too many processes
                del workers[ours]
                break
            theirs.close()
            _ask(ours, workers[ours], waiting.popleft())
        if not workers:
            yield from map(work, batches)
            return
        for number in range(len(batches)):
            while number not in found:
                for worker in cast(list[Connection], wait(list(workers))):
                    done, result = _answer(worker, workers[worker])
                    found[done] = result
                    if waiting:
                        _ask(worker, workers[worker], waiting.popleft())
            yield found.pop(number)
    finally:
        for connection in workers:
            connection.close()
        for process in workers.values():
            if process.pid is not None:  # it was started
                process.kill()
                process.join()


def _start(process: BaseProcess) -> None:
    """With signals blocked, in the new process for good: this one ends it."""
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDING})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _ask(worker: Connection, process: BaseProcess, number: int) -> None:
    try:
        worker.send(number)
    except ConnectionError:
        raise _end_of(process) from None


def _answer(worker: Connection, process: BaseProcess) -> tuple[int, Any]:
    try:
        number, result, error = worker.recv()
    except (EOFError, ConnectionError):
        raise _end_of(process) from None
    if error is not None:
        raise error
    return number, result


def _end_of(process: BaseProcess) -> Exception:
    """The error for a process that has ended without an answer."""
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return MemoryError("the system killed a process that searched, as it does when memory runs out")
    return RuntimeError(f"a process that searched ended with exit code {process.exitcode}")


def _serve(
    work: Callable[[Batch], Result], batches: Sequence[Batch], connection: Connection, first_process: int
) -> None:
    """Answer until the first process ends, or its end of the connection is closed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != first_process:  # it ended before
        return
    _close_all_but(connection.fileno())
    torch.set_num_threads(1)
    with suppress(EOFError, ConnectionError):
        while True:
            number = connection.recv()
            answer: tuple[int, Result | None, Exception | None]
            try:
                answer = number, work(batches[number]), None
            except Exception as error:
                answer = number, None, _portable(error)
            connection.send(answer)


def _portable(error: Exception) -> Exception:
    """The error with a note of its place; another one with its text, if it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In a process that searched:\n{traceback.format_exc()}")
    return error


def _close_all_but(descriptor: int) -> None:
    """Files and connections of the first process, whose locks and ends would otherwise outlive it."""
    try:
        last = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    except OSError:
        last = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, last + 1)
