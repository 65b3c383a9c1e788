"""Step hooks are called after each optimizer step, for example for a moving average of the weights or statistics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn


class StepHook(ABC):
    """An object that is called after each optimizer step, in every process, also after updates replayed from CUDA
    graphs. `name`, an identifier, names its group of tensors in checkpoints.

    It is not called after a step that is skipped because a gradient is not finite. On a GPU such a step is noticed
    later, so the hook may still be called, but the run then ends and nothing of it is saved.
    """

    name: str

    @abstractmethod
    def __call__(self, model: nn.Module, update: int) -> None:
        """Called after the optimizer step of `update`, counted from 1, without gradient tracking: the weights are
        updated, the clipped gradients still exist. It should not synchronise with a GPU.
        """

    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that checkpoints save: its own, not copies. They must exist from the start, because a continued
        run copies the saved values into them."""
        return {}

    def in_validation(self, model: nn.Module) -> AbstractContextManager[None]:
        """The context of each validation. It may load other weights, and restores the model's own at its end."""
        return nullcontext()
