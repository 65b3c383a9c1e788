"""An exponential moving average of the weights, which `trainer.ema` keeps, validates and saves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.checkpoint.folder import AVERAGED
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.training.step_hooks import StepHook


class MovingAverage(StepHook):
    """After update n: average = d * average + (1 - d) * weights, with d = min(`decay`, (1 + n) / (10 + n)), so that the
    first weights do not count for long.

    Validations score the average. It has every tensor of the model's checkpoint, so that it can be loaded instead.
    """

    name = AVERAGED

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = model_tensors(model)
        self._average = {name: tensor.clone() for name, tensor in self._weights.items()}
        averaged = [name for name, tensor in self._weights.items() if tensor.is_floating_point()]
        self._pairs = [self._average[name] for name in averaged], [self._weights[name] for name in averaged]

    def __call__(self, model: nn.Module, update: int) -> None:
        """Move the average towards the new weights."""
        averages, weights = self._pairs
        torch._foreach_lerp_(averages, weights, self._share(update))

    def unless(self, refused: Float[Tensor, ""], model: nn.Module, update: int) -> None:
        """The same by a share of 0 where the step was refused, without waiting for the device."""
        averages, weights = self._pairs
        changes = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(changes, self._share(update) * (1 - refused))
        torch._foreach_add_(averages, changes)

    def _share(self, update: int) -> float:
        """How far the average moves towards the weights."""
        return 1 - min(self.decay, (1 + update) / (10 + update))

    def tensors(self) -> Mapping[str, Tensor]:
        """The average, by the names of the model's tensors."""
        return self._average

    @contextmanager
    def in_validation(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights meanwhile."""
        averages, weights = self._pairs
        with torch.no_grad():
            kept = [tensor.clone() for tensor in weights]
            torch._foreach_copy_(weights, averages)
            try:
                yield
            finally:
                torch._foreach_copy_(weights, kept)
