"""Strided pooling: memory-compressed attention, Liu et al. (2018), arXiv:1801.10198, section 4.2.3."""

from dataclasses import replace
from typing import Any, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.pooling.base import Pooling
from seq2seq.types import Memory


class StridedPooling(Pooling):
    """One state for every `stride` neighbours: W [m_1; ...; m_stride] + b (the paper's convolution, whose kernel is as
    wide as its stride) or the mean of the real ones. Shapes: [B S M] -> [B ceil(S / stride) M].
    """

    def __init__(self, *, memory_dim: int, stride: int, kind: Literal["convolution", "mean"]) -> None:
        super().__init__()
        self.stride = stride
        self.mix = nn.Linear(stride * memory_dim, memory_dim) if kind == "convolution" else None
        if self.mix is not None:
            nn.init.xavier_uniform_(self.mix.weight)
            nn.init.zeros_(self.mix.bias)

    @classmethod
    def problem(cls, *, memory_dim: int, **arguments: Any) -> str | None:
        """A stride of 1 would pool nothing."""
        stride = arguments["stride"]
        return None if stride >= 2 else f"pooling.stride must be at least 2, not {stride}, or pooling=none"

    def forward(self, memory: Memory) -> Memory:
        """Neighbours become one; a group with one real token is real."""
        states, mask = self._groups(memory.states, memory.mask)
        kept = mask.unsqueeze(-1).to(states.dtype)
        real = states * kept
        mean = real.sum(2) / kept.sum(2).clamp(min=1)
        pooled = mean if self.mix is None else self.mix(real.flatten(2))
        return replace(memory, states=pooled, mask=mask.any(-1), tokens=None)

    def _groups(
        self, states: Float[Tensor, "B S M"], mask: Bool[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B R stride M"], Bool[Tensor, "B R stride"]]:
        missing = -states.shape[1] % self.stride
        states, mask = F.pad(states, (0, 0, 0, missing)), F.pad(mask, (0, missing))
        return states.unflatten(1, (-1, self.stride)), mask.unflatten(1, (-1, self.stride))
