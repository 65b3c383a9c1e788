"""What every adapter offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from seq2seq.types import Component


class Adapter(Component, ABC):
    """What is trained of a model that starts from another run's weights. A checkpoint has those weights and the
    adapter's own; what uses a trained model merges them first, so that it is a model like any other."""

    @abstractmethod
    def insert(self, model: nn.Module) -> None:
        """Add the adapter's parts to a new model, and freeze all else. Raises ConfigError where it cannot."""

    @abstractmethod
    def merged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors, by name, of a model without the adapter that computes the same as one with these tensors."""
