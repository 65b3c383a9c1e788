"""Updates whose loss or gradient is made non-finite, as a bad pair or an overflow would."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal
from unittest import mock

import torch

from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.training.forward_backward import ForwardBackward

Part = Literal["loss", "gradient"]


@contextmanager
def broken(
    updates: Collection[int], *, value: float = float("nan"), part: Part = "loss", rank: int | None = None
) -> Iterator[None]:
    """These updates have `value` in the loss of each micro-batch or in one gradient; of several processes in the one of
    `rank` alone."""
    begin, compute, passes = ForwardBackward.begin, CrossEntropy.__call__, ForwardBackward.__call__
    here = {"update": 0}

    def noted(self: ForwardBackward, seed: int, update: int) -> None:
        here["update"] = update
        begin(self, seed, update)

    def is_bad(self: Any) -> bool:
        return here["update"] in updates and (rank is None or rank == torch.distributed.get_rank())

    def losses(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        found = compute(self, model, batch)
        return replace(found, total=found.total + value) if part == "loss" and is_bad(self) else found

    def passed(self: ForwardBackward, *arguments: Any, **more: Any) -> Losses:
        found = passes(self, *arguments, **more)
        if part == "gradient" and is_bad(self):
            grads = (p.grad for p in self.strategy.model.parameters() if p.grad is not None)
            next(grads).view(-1)[0] = value
        return found

    with (
        mock.patch.object(ForwardBackward, "begin", noted),
        mock.patch.object(ForwardBackward, "__call__", passed),
        mock.patch.object(CrossEntropy, "__call__", losses),
    ):
        yield
