"""The processes of one run, started by torchrun: ranks and communication.

Everything here uses gloo between CPUs and does not wait for a GPU. Gradients are communicated by the strategy.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float64
from torch import Tensor

from seq2seq.errors import PeerError, Seq2SeqError
from seq2seq.runtime.torchrun import place

T = TypeVar("T")

LONGEST_WAIT = timedelta(hours=2)  # for a process that prepares data or scores; one that has ended is noticed at once
NUMBER_KEY = "seq2seq/number"  # the key in the processes' store of the number that `any_nonzero` shares
TIME_TO_END = timedelta(seconds=5)  # within which the main process ends, if it has the same error as another process


class World:
    """The processes of a run: this one's `rank` and the world size, `size`. With one process nothing is sent.

    Collective methods must be called by all processes, in the same order. torch pickles the values that it sends
    between the processes of a run; nothing pickled is stored.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: dist.Store | None = None) -> None:
        self.rank = rank
        self.size = size
        self._store = store
        self._pending: tuple[dist.Work, Tensor] | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """The main process's `value`, in every process."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """Every process's `value` by rank, in the main process; elsewhere nothing."""
        if self.size == 1:
            return [value]
        gathered: list[T] = [value] * self.size
        dist.gather_object(value, gathered if self.is_main else None, dst=0)
        return gathered if self.is_main else []

    def all_reduce_sum(self, values: Float64[Tensor, " N"]) -> Float64[Tensor, " N"]:
        """The sums over all processes, on the CPU."""
        if self.size == 1:
            return values
        total = values.detach().to("cpu", copy=True)
        dist.all_reduce(total)
        return total

    def all_reduce_max(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return float(found)

    def delayed_max(self, *values: float) -> list[float]:
        """An asynchronous all-reduce: the maximum of each value over all processes *at the previous call*, zeros at the
        first call. With one process, the values themselves.

        No process waits for the others, and the result is the same in all of them.
        """
        if self.size == 1:
            return list(values)
        delayed = self._last_delayed() or [0.0] * len(values)
        reduced = torch.tensor(values, dtype=torch.float64)
        self._pending = (dist.all_reduce(reduced, dist.ReduceOp.MAX, async_op=True), reduced)
        return delayed

    def _last_delayed(self) -> list[float] | None:
        """The result of the previous call, if any."""
        if self._pending is None:
            return None
        work, reduced = self._pending
        work.wait()
        self._pending = None
        return list(reduced.tolist())

    def any_nonzero(self, number: int) -> int:
        """This process's number or, if that is 0, one sent by another process so far; 0: none.

        It is not a collective call, and does not wait.
        """
        if self.size == 1:
            return number
        assert self._store is not None
        if number:
            self._store.set(NUMBER_KEY, str(number))
        elif self._store.check([NUMBER_KEY]):
            return int(self._store.get(NUMBER_KEY))
        return number

    def barrier(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Run the block in the main process first, then in the others, which see its files."""
        if not self.is_main:
            self.barrier()
        yield
        if self.is_main:
            self.barrier()

    def close(self) -> None:
        """Close the connections of all processes together."""
        self._last_delayed()
        self.barrier()
        dist.destroy_process_group()

    def main_is_ending(self) -> bool:
        """Whether the main process ends within a few seconds: then it has reported the error."""
        began = time.monotonic()
        with suppress(RuntimeError):  # nothing is ever sent: the wait ends when the connection breaks or times out
            work = dist.irecv(torch.zeros(1), src=0)
            assert work is not None
            work.wait(TIME_TO_END)
        return time.monotonic() - began < TIME_TO_END.total_seconds()


@contextmanager
def process_group() -> Iterator[World]:
    """The world of the processes that torchrun has started; without torchrun, a world of one process.

    Raises PeerError where another process has failed. An error that all processes have is reported by the main one,
    which is the first to end: torchrun ends the others as soon as one has ended.
    """
    here = place()
    if here.size == 1:
        yield World()
        return
    store, rank, size = next(dist.rendezvous("env://", timeout=LONGEST_WAIT))
    dist.init_process_group("gloo", store=dist.PrefixStore("gloo", store), rank=rank, world_size=size)
    world = World(rank, size, store)
    try:
        yield world
        world.close()
    except Exception as error:
        raised = _as_reported(error, world)
        if raised is error:
            raise
        raise raised from error


def _as_reported(error: Exception, world: World) -> Exception:
    """The error to raise in this process, marked as `reported` if the main process reports it."""
    if isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in str(error)):
        error = PeerError(
            "another process of this run has failed or does not respond: its error is printed above or in its own "
            "log. The same command continues the run from its last checkpoint"
        )
    if not world.is_main and (isinstance(error, PeerError) or world.main_is_ending()):
        error = error if isinstance(error, Seq2SeqError) else PeerError(str(error))
        error.reported = True
    return error
