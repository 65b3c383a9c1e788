"""The end of an update: the gradients are clipped and the optimizer steps, unless they are no numbers."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.optimizer import step_without_dynamo as light


def holds_back(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer can be told by a number on its device not to step: torch's fused Adam and AdamW can, whose
    kernels read `found_inf` (as torch.amp.GradScaler uses it)."""
    return isinstance(optimizer, torch.optim.Adam) and bool(optimizer.defaults["fused"])


class OptimizerStep:
    """Clips the gradients' norm to `clip_norm`, lets the optimizer step, and forgets the gradients.

    Gradients that are not finite never reach a weight or the optimizer's state, and nothing steps after them. Where
    `defers`, the device itself sees to that, so that nobody waits for it: whether it came to that is for `refused` to
    tell, whenever figures are read anyway. Elsewhere it is known at once. `norm` is that before clipping.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, clip_norm: float | None, *, defers: bool
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        self.defers = defers
        device = next(model.parameters()).device if defers else "cpu"
        self._taken, self._refuses = (torch.zeros((), device=device) for _ in range(2))
        if defers:
            assert holds_back(optimizer)
            optimizer.found_inf = self._refuses  # type: ignore[attr-defined]

    def __call__(self) -> float | Tensor:
        """Finish an update; returns the norm of its gradient, on the device where it need not be known yet."""
        told = self._finish()
        self.optimizer.zero_grad(set_to_none=True)
        return told

    def _finish(self) -> float | Tensor:
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        told = norm if self.defers else float(norm)
        self._count(norm)
        if self.defers or not self._refuses:
            light.step(self.optimizer)
        return told

    def _count(self, norm: Float[Tensor, ""]) -> None:
        """Refuse from the first norm on that is not finite, and count what was not refused."""
        self._refuses.copy_(self._refuses.maximum((~norm.isfinite()).to(self._refuses)))
        self._taken += 1 - self._refuses

    def refused(self) -> int | None:
        """Which update since the last time this was asked was the first to be refused, counted from 0; None: none was.
        Waits for the device."""
        taken, refuses = torch.stack((self._taken, self._refuses)).tolist()
        self._taken.zero_()
        return int(taken) if refuses else None


def non_finite(update: int, loss: float, norm: float, lr: float, saved: Sequence[int]) -> str:
    """What is said of the first update that was refused; `saved` are the checkpoints there are."""
    kept = f"the last checkpoint is step-{saved[-1]}" if saved else "no checkpoint was saved yet"
    return (
        f"update {update}: the loss is {loss:g} and the gradient norm {norm:g}, at learning rate {lr:g}; the "
        f"weights were not changed and {kept}. Try a lower optimizer.lr, a longer schedule.warmup, a lower "
        "trainer.clip_norm or precision=fp32"
    )
