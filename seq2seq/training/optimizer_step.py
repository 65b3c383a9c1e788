"""The end of an update: the gradients are clipped and the optimizer steps, unless they are not finite."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.optimizer.step_without_dynamo import step
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import Strategy


def holds_back(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a number on the optimizer's device can keep it from stepping: torch's fused Adam and AdamW, whose kernels
    read `found_inf` (as torch.amp.GradScaler uses it)."""
    return isinstance(optimizer, torch.optim.Adam) and bool(optimizer.defaults["fused"])


class OptimizerStep:
    """Clips the gradients' norm to `clip_norm`, lets the optimizer step, calls the `hooks` and clears the gradients.

    Gradients that are not finite never reach a weight or the optimizer's state, and nothing steps after them: from the
    first norm on that is not finite, each update is refused. Where `defers`, the device itself sees to that, so that
    nobody waits for it. `refuses` is 1 from then on; the norms, as they were before clipping, show which was the first.
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
            assert holds_back(optimizer)
            optimizer.found_inf = self.refuses  # type: ignore[attr-defined]

    def __call__(self) -> float | Tensor:
        """Finish an update; returns the norm of its gradient, on the device where it need not be known yet."""
        norm = self._clip()
        if self.defers or not self.refuses:
            step(self.optimizer)
            self._call_hooks()
        self.optimizer.zero_grad(set_to_none=True)
        return norm if self.defers else float(norm)

    def _clip(self) -> Float[Tensor, ""]:
        """The norm before clipping; from the first one on that is not finite, steps are refused."""
        norm = self.strategy.clip_gradients(self.clip_norm)
        self.refuses.copy_(self.refuses.maximum((~norm.isfinite()).to(self.refuses)))
        return norm

    @torch.no_grad()
    def _call_hooks(self) -> None:
        for hook in self.hooks:
            hook(self.strategy.model)


def non_finite(update: int, loss: float, norm: float, lr: float, saved: Sequence[int]) -> str:
    """What is said of the first update that was refused; `saved` are the checkpoints there are."""
    kept = f"the last checkpoint is step-{saved[-1]}" if saved else "no checkpoint was saved yet"
    return (
        f"update {update}: the loss is {loss:g} and the gradient norm {norm:g}, at learning rate {lr:g}; the "
        f"weights were not changed and {kept}. Try a lower optimizer.lr, a longer schedule.warmup, a lower "
        "trainer.clip_norm or precision=fp32"
    )
