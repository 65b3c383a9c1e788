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

    Gradients that are not finite never reach a weight or the optimizer's state: from the first norm that is not finite,
    each step is skipped, and `refuses` is 1. With `defers` this is decided on the device, without synchronization. The
    norms, from before clipping, show which update was the first.
    """

    def __init__(
        self,
        strategy: Strategy,
        optimizer: torch.optim.Optimizer,
        clip_norm: float | None,
        *,
        defers: bool,
        hooks: Sequence[StepHook] = (),
    ) -> None:
        self.strategy = strategy
        self.optimizer = optimizer
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        self.defers = defers
        self.hooks = hooks
        self.refuses = torch.zeros((), device=next(strategy.model.parameters()).device if defers else "cpu")
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
        self.optimizer.zero_grad(set_to_none=True)
        return norm if self.defers else float(norm)

    def _clip(self) -> Float[Tensor, ""]:
        """Clip; returns the norm before. From the first norm that is not finite, steps are skipped."""
        norm = self.strategy.clip_gradients(self.clip_norm)
        self.refuses.copy_(self.refuses.maximum((~norm.isfinite()).to(self.refuses)))
        return norm

    @torch.no_grad()
    def _call_hooks(self, update: int) -> None:
        for hook in self.hooks:
            hook(self.strategy.model, update)


def non_finite(update: int, loss: float, norm: float, lr: float, saved: Sequence[int]) -> str:
    """The error message for the first update that was skipped; `saved` are the steps of existing checkpoints."""
    kept = f"the last checkpoint is step-{saved[-1]}" if saved else "no checkpoint was saved yet"
    return (
        f"update {update}: the loss is {loss:g} and the gradient norm {norm:g}, at learning rate {lr:g}; the "
        f"weights were not changed and {kept}. Try a lower optimizer.lr, a longer schedule.warmup, a lower "
        "trainer.clip_norm or precision=fp32"
    )
