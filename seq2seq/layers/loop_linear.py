"""A linear map that a loop applies at every step: its weight's gradient is one product after the loop instead of a sum
of one product per step."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Steps = list[tuple[Tensor, Tensor]]  # each step's input, and the gradient of its output


class LoopLinear:
    """x W', in the precision of W. Shapes: weight [G i], inputs [N i] -> [N G].

    The gradient of W, the sum over all steps of g' x, does not depend on the recurrence: the backward passes of the
    steps store g and x, and that of the weight, which runs after them, multiplies them once. So a backward pass through
    the steps must also reach the weight, as that of a loss does. There are no second derivatives.
    """

    def __init__(self, weight: Float[Tensor, "G i"]) -> None:
        self.dtype = weight.dtype
        self._steps: Steps = []
        self._learns = torch.is_grad_enabled() and weight.requires_grad
        self._weight = _Weight.apply(weight, self._steps) if self._learns else weight

    def __call__(self, inputs: Float[Tensor, "N i"]) -> Float[Tensor, "N G"]:
        """One step."""
        inputs = inputs.to(self.dtype)
        return _Step.apply(inputs, self._weight, self._steps) if self._learns else F.linear(inputs, self._weight)


class _Weight(torch.autograd.Function):
    """The weight itself; backward, the product of what the steps stored."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: Steps) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.steps = steps
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, nothing: Tensor | None) -> tuple[Tensor | None, None]:
        if not ctx.steps:
            return None, None
        inputs, gradients = (torch.cat(parts) for parts in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        return gradients.T @ inputs, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.steps = steps
        return F.linear(inputs, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        inputs, weight = ctx.saved_tensors
        ctx.steps.append((inputs.detach(), gradient))  # detached, or the list would be part of a reference cycle
        return gradient @ weight, None, None
