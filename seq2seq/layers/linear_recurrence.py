"""A linear recurrence over a whole sequence without a loop over its positions: a parallel scan by odd-even reduction,
Blelloch (1990), "Prefix sums and their applications", section 1.4."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_recurrence(decay: Float[Tensor, "B T D"], inputs: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
    """c_t = decay_t * c_t-1 + inputs_t, elementwise, with c_-1 = 0; in the inputs' precision, which should be fp32 at
    least. Decays from 0 to 1 keep it stable. Time grows with T, in about 2 log2 T steps.

    Backward it is the same recurrence from the end, so that only the decays and the results are stored. There are no
    second derivatives.
    """
    found: Tensor = _Recurrence.apply(decay, inputs)
    return found


def _scan(decay: Tensor, inputs: Tensor) -> Tensor:
    """Solve for every second position, with half as many that are twice as far apart, then for those between."""
    if inputs.shape[1] < 2:
        return inputs
    even = slice(0, inputs.shape[1] // 2 * 2, 2)
    seconds = _scan(decay[:, even] * decay[:, 1::2], torch.addcmul(inputs[:, 1::2], decay[:, 1::2], inputs[:, even]))
    states = torch.empty_like(inputs)
    states[:, 0], states[:, 1::2] = inputs[:, 0], seconds
    between = inputs[:, 2::2]
    states[:, 2::2] = torch.addcmul(between, decay[:, 2::2], seconds[:, : between.shape[1]])
    return states


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor) -> Tensor:
        states = _scan(decay, inputs)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        nothing = torch.zeros_like(decay[:, :1])
        later = torch.cat((decay[:, 1:], nothing), 1)
        of_inputs = _scan(later.flip(1), gradient.flip(1)).flip(1)
        return of_inputs * torch.cat((nothing, states[:, :-1]), 1), of_inputs
