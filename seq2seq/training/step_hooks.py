"""Step hooks are called after each optimizer step, for example for a moving average of the weights or statistics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from jaxtyping import Float
from torch import Tensor, nn


class StepHook(ABC):
    """An object that is called after each optimizer step, in every process, also after updates replayed from CUDA
    graphs. `name`, an identifier, names its group of tensors in checkpoints.

    It is not called after a step that is skipped because a gradient is not finite. Where such a step is noticed later,
    on a GPU, `unless` is called instead, or with trainer.on_nonfinite=stop the hook itself: then the run ends, and
    nothing of it is saved.
    """

    name: str

    @abstractmethod
    def __call__(self, model: nn.Module, update: int) -> None:
        """Called after the optimizer step of `update`, counted from 1, without gradient tracking: the weights are
        updated, the clipped gradients still exist. It should not synchronise with a GPU.
        """

    def unless(self, refused: Float[Tensor, ""], model: nn.Module, update: int) -> None:
        """Called instead where only the device knows yet whether the step was skipped: `refused` is 1 then, and nothing
        may change. This one waits for the device; override it to work without waiting."""
        if not refused:
            self(model, update)

    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that checkpoints save: its own, not copies. They must exist from the start, because a continued
        run copies the saved values into them."""
        return {}

    def in_validation(self, model: nn.Module) -> AbstractContextManager[None]:
        """The context of each validation. It may load other weights, and restores the model's own at its end."""
        return nullcontext()
