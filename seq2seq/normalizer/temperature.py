"""Softmax with a temperature: below 1 sharper, above 1 flatter; fixed (Hinton et al. 2015, arXiv:1503.02531) or learned
(Lin et al. 2018, arXiv:1808.07374, with one temperature for all steps)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.normalizer.base import Normalizer


class TemperatureSoftmax(Normalizer):
    """p_s = exp(z_s / t) / sum_j exp(z_j / t); a learned t starts at `temperature`. Shapes: [... S] -> [... S]."""

    log_temperature: Tensor

    def __init__(self, *, temperature: float, learned: bool) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"normalizer.temperature must be above 0, not {temperature}")
        start = torch.tensor(math.log(temperature))
        if learned:
            self.log_temperature = nn.Parameter(start)
        else:
            self.register_buffer("log_temperature", start, persistent=False)

    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        """exp of the tempered scores, over its sum."""
        # With the best at 0 nothing overflows; infinity times its gradient of 0 would be NaN.
        seen = scores.masked_fill(~mask, float("-inf"))
        shifted = (seen - seen.detach().amax(-1, keepdim=True)).clamp(min=torch.finfo(scores.dtype).min)
        tempered = shifted * torch.exp(-self.log_temperature).to(scores.dtype)
        return tempered.masked_fill(~mask, float("-inf")).softmax(-1)
