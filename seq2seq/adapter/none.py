"""No adapter: the model's own weights are trained."""

from collections.abc import Mapping

from torch import Tensor, nn

from seq2seq.adapter.base import Adapter


class NoAdapter(Adapter):
    """Adds nothing and freezes nothing."""

    def insert(self, model: nn.Module) -> None:
        """Nothing is changed."""

    def merged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors themselves."""
        return dict(tensors)
