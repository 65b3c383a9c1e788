"""How the processes of a run train one model: what `trainer.strategy` names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.config.command_line.program import program, under_torchrun
from seq2seq.model.model import Model
from seq2seq.runtime.distributed import LONGEST_WAIT, World
from seq2seq.runtime.torchrun import Place, place


class Strategy(ABC):
    """Wraps a model for training. It is built before the optimizer, which takes its parameters from `model`.

    `model` has the parameter names of checkpoints; `module`, which may wrap it, is what objectives call. The methods
    defined here suit strategies in which every process holds the full model.
    """

    def __init__(self, model: Model, world: World) -> None:
        self.model = model
        self.world = world
        self.module: nn.Module = model
        self.reducing = False  # whether a backward pass also sums over processes, so that it cannot be repeated

    @classmethod
    @abstractmethod
    def problems(cls, here: Place) -> list[str]:
        """A line for each reason why the processes started are not those that the strategy needs."""

    @abstractmethod
    def micro_batch(self, *, last: bool) -> AbstractContextManager:
        """The context of a micro-batch's forward and backward pass; `last`: it is this process's last of the update."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`. After the last micro-batch they are the sum over all processes."""

    def clip_gradients(self, max_norm: float) -> Tensor:
        """Scale the gradients so that the norm over the full model is at most `max_norm`; returns the norm before."""
        return nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], max_norm)

    def unwrapped(self) -> AbstractContextManager[Model]:
        """The context in which every part of the bare model can be called, as validation does."""
        return nullcontext(self.model)

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The full tensors, for a checkpoint, from this process's shards. All processes call it."""
        return dict(tensors)

    def shard(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This process's shards of full tensors, each sharded like the tensor of its name in `like`. If there is none,
        or it has another shape, the tensor is not sharded."""
        return dict(tensors)


class SingleProcess(Strategy):
    """One process, whose gradients are the update's."""

    @classmethod
    def problems(cls, here: Place) -> list[str]:
        """It is one process alone."""
        if here.size == 1:
            return []
        return [
            f"trainer.strategy=single is one process, and torchrun has started {here.size}: start "
            f"it as {program('train')}, or leave trainer.strategy=auto"
        ]

    def micro_batch(self, *, last: bool) -> AbstractContextManager:
        """A context that does nothing."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """The gradients are those of the update."""
        loss.backward()


class DataParallel(Strategy):
    """Every process has the full model and a share of each update: torch's DistributedDataParallel.

    Gradients are all-reduced once per update, during the backward pass of its last micro-batch. So each process needs
    at least one micro-batch, and every trained parameter must get a gradient in every batch (the contract tests check
    this for each model).
    """

    def __init__(self, model: Model, world: World) -> None:
        super().__init__(model, world)
        backend = "nccl" if next(model.parameters()).is_cuda else "gloo"
        group = dist.new_group(backend=backend, timeout=LONGEST_WAIT)
        self._parallel = DistributedDataParallel(model, process_group=group, gradient_as_bucket_view=True)
        self._parallel.broadcast_buffers = False  # they are constants
        self.module = self._parallel

    @classmethod
    def problems(cls, here: Place) -> list[str]:
        """It needs torchrun."""
        if here.by_torchrun:
            return []
        return [
            "trainer.strategy=ddp needs processes that torchrun starts: torchrun --nproc-per-node 2 "
            f"{under_torchrun('train')} KEY=VALUE ... (with trainer.strategy=auto it is ddp there, and one process "
            "elsewhere)"
        ]

    def micro_batch(self, *, last: bool) -> AbstractContextManager:
        """No all-reduce before the last micro-batch."""
        self._last = last
        return nullcontext() if last else self._parallel.no_sync()

    def backward(self, loss: Tensor) -> None:
        """DistributedDataParallel takes the mean over processes; an update is a sum."""
        self.reducing = self._last
        (loss * self.world.size).backward()
        self.reducing = False


STRATEGIES: dict[str, type[Strategy]] = {"single": SingleProcess, "ddp": DataParallel}


def choose_strategy(strategy: Literal["auto", "single", "ddp"], model: Model, world: World) -> Strategy:
    """The model, wrapped as `trainer.strategy` says; `strategy_problems` has already checked the processes. With a
    world size of 1 it is always SingleProcess."""
    if world.size == 1:
        return SingleProcess(model, world)
    return STRATEGIES["ddp" if strategy == "auto" else strategy](model, world)


def strategy_problems(strategy: Literal["auto", "single", "ddp"]) -> list[str]:
    """A line for each reason why the processes started are not those that `strategy` needs."""
    return [] if strategy == "auto" else STRATEGIES[strategy].problems(place())
