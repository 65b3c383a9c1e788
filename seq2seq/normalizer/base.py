"""What every normalizer offers."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.types import Component


class Normalizer(nn.Module, Component, ABC):
    """Scores over source positions -> weights: none negative, 0 where `mask` is False, 1 in sum.

    Shapes: scores [... S], mask broadcastable to them; at least one position of each row is True.
    """

    @abstractmethod
    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """Weights over the unmasked positions."""


class SparseNormalizer(Normalizer):
    """Weights that may be exactly 0, from a sorted row: in fp32 at least, hidden positions at -inf."""

    @abstractmethod
    def project(self, scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
        """Weights of scores of which some are -inf."""

    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """Weights over the unmasked positions, in the scores' precision."""
        exact = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return self.project(exact.masked_fill(~mask, float("-inf"))).to(scores.dtype)
