"""A limit on what building a model allocates: a run's config.yaml may come from anyone, and say anything."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seq2seq.errors import CheckpointError

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


class _Bounded(TorchDispatchMode):
    """Counts new tensors and their numbers."""

    def __init__(self, numbers: int, tensors: int, message: str) -> None:
        super().__init__()
        self._numbers, self._tensors, self._message = numbers, tensors, message

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if args and isinstance(args[0], list | tuple) and all(isinstance(size, int) for size in args[0]):
            self._numbers -= math.prod(args[0])
            self._tensors -= 1
            if self._numbers < 0 or self._tensors < 0:
                raise CheckpointError(self._message)
        return function(*args, **(kwargs or {}))
