"""The end of an update: the gradients are clipped and the optimizer steps, unless they are not finite."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.optimizer.step_without_dynamo import step
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import Strategy


def reads_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a tensor on the device can make the optimizer skip a step: torch's fused Adam and AdamW, whose kernels
    read `found_inf` (as torch.amp.GradScaler uses it)."""
    return isinstance(optimizer, torch.optim.Adam) and bool(optimizer.defaults["fused"])


class OptimizerStep:
    """Clips the gradients' norm to `clip_norm`, lets the optimizer step, calls the `hooks` and clears the gradients.

    Gradients that are not finite never reach a weight, the optimizer's state or a hook: the step is skipped, and
    `refuses` is 1. With `skips` that ends with the update; without, all later steps are refused, too. With `defers`
    this is decided on the device, without synchronization. The norms, from before clipping, show which updates it were.
    While `holds` is 1, every step is refused.
    """

    def __init__(
        self,
        strategy: Strategy,
        optimizer: torch.optim.Optimizer,
        clip_norm: float | None,
        *,
        defers: bool,
        skips: bool = False,
        hooks: Sequence[StepHook] = (),
    ) -> None:
        self.strategy = strategy
        self.optimizer = optimizer
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        self.defers = defers
        self.skips = skips
        self.hooks = hooks
        self.refuses = torch.zeros((), device=next(strategy.model.parameters()).device if defers else "cpu")
        self.holds = torch.zeros_like(self.refuses) if skips else self.refuses
        if defers:
            assert reads_found_inf(optimizer)
            optimizer.found_inf = self.refuses  # type: ignore[attr-defined]

    def __call__(self, update: int) -> float | Tensor:
        """Finish the update of this number; returns the norm of its gradient, with `defers` as a tensor on the
        device."""
        norm = self._clip()
        if self.defers or not self.refuses:
            step(self.optimizer)
            self._call_hooks(update)
        self.clear()
        return norm if self.defers else float(norm)

    def clear(self) -> None:
        """Forget the gradients."""
        self.optimizer.zero_grad(set_to_none=True)

    def _clip(self) -> Float[Tensor, ""]:
        """Clip; returns the norm before. Where it is not finite, the step is refused."""
        norm = self.strategy.clip_gradients(self.clip_norm)
        self.refuses.copy_(self.holds.maximum((~norm.isfinite()).to(self.refuses)))
        return norm

    @torch.no_grad()
    def _call_hooks(self, update: int) -> None:
        for hook in self.hooks:
            if self.defers and self.skips:
                hook.unless(self.refuses, self.strategy.model, update)
            else:
                hook(self.strategy.model, update)
