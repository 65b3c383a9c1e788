"""Step hooks: what is done after each optimizer step, such as a moving average of the weights or statistics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn


class StepHook(ABC):
    """Something that is called after each optimizer step, in every process and after an update replayed from CUDA
    graphs, too. `name` is that of its group of tensors in checkpoints: a word that is an identifier.

    A step that is refused, because a gradient is not finite, is followed by no call. On a GPU that is found out later:
    there a hook may be called after such steps too, but nothing of it is saved, for the run ends.
    """

    name: str

    @abstractmethod
    def __call__(self, model: nn.Module, update: int) -> None:
        """The optimizer has stepped: the model's weights are those after this `update`, counted from 1, and its
        gradients, as they were clipped, still there.

        Called without gradient tracking. It must not wait for a GPU where it can do without.
        """

    def tensors(self) -> Mapping[str, Tensor]:
        """What checkpoints keep: its own tensors, not copies. Where a run continues, they are there from the start, and
        what was saved is copied into them."""
        return {}

    def in_validation(self, model: nn.Module) -> AbstractContextManager[None]:
        """The context of each validation: other weights, say, which it takes out again at its end."""
        return nullcontext()
