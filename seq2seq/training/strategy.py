"""How the processes of a run train one model: what `trainer.strategy` names."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.config.command_line.program import program, under_torchrun
from seq2seq.model.model import Model
from seq2seq.runtime.distributed import LONGEST_WAIT, World
from seq2seq.runtime.torchrun import place


class Strategy:
    """One process, whose gradients are the update's. `module` is what objectives call in place of the model."""

    def __init__(self, model: Model) -> None:
        self.module: nn.Module = model

    def micro_batch(self, *, last: bool) -> AbstractContextManager:
        """The context of a micro-batch's forward and backward pass; `last`: of the update's last one here."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`. After the last micro-batch they are the sum over all processes."""
        loss.backward()


class DataParallel(Strategy):
    """Every process has the whole model and a share of each update: torch's DistributedDataParallel.

    Gradients travel once an update, in its last micro-batch, while its backward pass goes on. Each process must have
    one: every parameter that learns takes part in every batch (a law that the contract tests hold each model to).
    """

    def __init__(self, model: Model, world: World) -> None:
        super().__init__(model)
        self._size = world.size
        backend = "nccl" if next(model.parameters()).is_cuda else "gloo"
        group = dist.new_group(backend=backend, timeout=LONGEST_WAIT)
        self._parallel = DistributedDataParallel(model, process_group=group, gradient_as_bucket_view=True)
        self._parallel.broadcast_buffers = False  # they are constants
        self.module = self._parallel

    def micro_batch(self, *, last: bool) -> AbstractContextManager:
        """Gradients stay here until the last one."""
        return nullcontext() if last else self._parallel.no_sync()

    def backward(self, loss: Tensor) -> None:
        """DistributedDataParallel takes the mean over processes; an update is a sum."""
        (loss * self._size).backward()


def choose_strategy(model: Model, world: World) -> Strategy:
    """The strategy for a world of this size; `strategy_problems` has seen to it that it is the one asked for."""
    return Strategy(model) if world.size == 1 else DataParallel(model, world)


def strategy_problems(strategy: Literal["auto", "single", "ddp"]) -> list[str]:
    """A line if the processes started are not those that `strategy` needs."""
    here = place()
    if strategy == "ddp" and not here.by_torchrun:
        return [
            "trainer.strategy=ddp needs processes that torchrun starts: torchrun --nproc-per-node 2 "
            f"{under_torchrun('train')} KEY=VALUE ... (with trainer.strategy=auto it is ddp there, and one process "
            "elsewhere)"
        ]
    if strategy == "single" and here.size > 1:
        return [
            f"trainer.strategy=single is one process, and torchrun has started {here.size}: start "
            f"it as {program('train')}, or leave trainer.strategy=auto"
        ]
    return []
