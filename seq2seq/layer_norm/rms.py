"""Normalisation by the root mean square: Zhang and Sennrich (2019), arXiv:1910.07467, equation 4."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.layer_norm.base import LayerNormalization

EPS = 1e-5  # added to the mean square, as in torch's layer normalisation


class RmsNorm(LayerNormalization):
    """x / sqrt(mean(x^2) + EPS) * weight, over the last dimension: no mean is subtracted, and there is no bias.

    Computed in fp32 or better. Shapes: [... D] -> [... D].
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, states: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Normalise each position."""
        exact = states.to(torch.promote_types(states.dtype, self.weight.dtype))
        return F.rms_norm(exact, (len(self.weight),), self.weight, EPS)
