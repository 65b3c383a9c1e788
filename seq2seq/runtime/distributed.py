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
SPREAD = "seq2seq/spread"  # the key of the processes' store under which a number is spread
LAST_WORDS = timedelta(seconds=5)  # in which the main process ends, if it has met the same error as another one


class World:
    """Process `rank` of the `size` that train a run; with one process nothing is sent.

    Collective methods must be called by all processes, in the same order. Values are pickled on their way by torch,
    from process to process of one run; nothing of it is stored.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: dist.Store | None = None) -> None:
        self.rank = rank
        self.size = size
        self._store = store
        self._asked: tuple[dist.Work, Tensor] | None = None

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
        """The maximum of each value over all processes *at the previous call*, zeros at first; with one process, the
        values.

        So there is no waiting: a result is returned by the next call, and it is the same in every process.
        """
        if self.size == 1:
            return list(values)
        delayed = self._last_delayed() or [0.0] * len(values)
        asked = torch.tensor(values, dtype=torch.float64)
        self._asked = (dist.all_reduce(asked, dist.ReduceOp.MAX, async_op=True), asked)
        return delayed

    def _last_delayed(self) -> list[float] | None:
        """The result of the previous call, if any."""
        if self._asked is None:
            return None
        work, answer = self._asked
        work.wait()
        self._asked = None
        return list(answer.tolist())

    def any_nonzero(self, number: int) -> int:
        """This process's number or, if that is 0, one sent by another process so far; 0: none.

        It is not a collective call, and does not wait.
        """
        if self.size == 1:
            return number
        assert self._store is not None
        if number:
            self._store.set(SPREAD, str(number))
        elif self._store.check([SPREAD]):
            return int(self._store.get(SPREAD))
        return number

    def barrier(self) -> None:
        """Wait until all processes are here."""
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
        with suppress(RuntimeError):  # nothing is ever sent: the wait ends when the connection breaks, or in vain
            work = dist.irecv(torch.zeros(1), src=0)
            assert work is not None
            work.wait(LAST_WORDS)
        return time.monotonic() - began < LAST_WORDS.total_seconds()


@contextmanager
def process_group() -> Iterator[World]:
    """The world that torchrun has started this process in, or one of its own.

    Raises PeerError where another process has failed. An error of all processes is reported by the main one, which is
    the first to end: torchrun ends the others as soon as one has.
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
    """The error that this process reports."""
    if isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in str(error)):
        error = PeerError(
            "another process of this run has failed or does not respond: its error is printed above or in its own "
            "log. The same command continues the run from its last checkpoint"
        )
    if not world.is_main and (isinstance(error, PeerError) or world.main_is_ending()):
        error = error if isinstance(error, Seq2SeqError) else PeerError(str(error))
        error.reported = True
    return error
