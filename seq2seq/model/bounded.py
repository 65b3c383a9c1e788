"""A limit on what building a model allocates: a run's config.yaml may come from anyone, and say anything."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seq2seq.errors import CheckpointError

FACTORIES = frozenset((torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn))
USUAL = 50_000_000, 1000  # numbers and tensors beside the weights: tables of positions, for example
TIMES = 3, 20  # the numbers and tensors of the weights may be allocated: some are drawn before they are tied


@contextmanager
def bounded_by(tensors: Mapping[str, Tensor], where: object) -> Iterator[None]:
    """For a block that builds the model of a checkpoint's tensors. Raises CheckpointError, which names `where` the
    model comes from, once it has allocated much more than these."""
    held = sum(tensor.numel() for tensor in tensors.values()), len(tensors)
    numbers, count = (times * each + usual for times, each, usual in zip(TIMES, held, USUAL, strict=True))
    larger = f"{where}: its config.yaml describes a larger model than that of its checkpoint"
    with _Bounded(numbers, count, f"{larger}, which has {held[0]:,} numbers in {held[1]:,} tensors"):
        yield


class _Bounded(TorchFunctionMode):
    """Counts new tensors and their numbers. (A TorchDispatchMode would import hundreds of modules.)"""

    def __init__(self, numbers: int, tensors: int, message: str) -> None:
        super().__init__()
        self._numbers, self._tensors, self._message = numbers, tensors, message

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function in FACTORIES:
            given = args[0] if args else (kwargs or {}).get("size", ())
            sizes = given if isinstance(given, list | tuple) else args
            self._numbers -= math.prod(size for size in sizes if isinstance(size, int))
            self._tensors -= 1
            if self._numbers < 0 or self._tensors < 0:
                raise CheckpointError(self._message)
        return function(*args, **(kwargs or {}))
