"""The scale of a loss in fp16 (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2)."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

FIRST, LARGEST = 2.0**16, 2.0**24
PATIENCE = 2000  # updates after which a scale that fits is doubled


class LossScale:
    """What a loss is multiplied by before its backward pass, and gradients are divided by after it: a power of 2.

    Small gradients would be 0 in fp16, and large ones infinite. So in fp16 the scale `adapts`: it is halved where it
    makes a gradient infinite, and doubled after PATIENCE updates. In other precisions it is 1.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.adapts = dtype is torch.float16
        self.value = FIRST if self.adapts else 1.0
        self.fitted = 0  # updates since it has changed

    def unscale(self, gradients: Iterable[Tensor]) -> bool:
        """Divide the gradients by the scale, in place; whether all of them are finite. Synchronizes with a GPU."""
        scaled = list(gradients)
        torch._foreach_mul_(scaled, 1 / self.value)
        return bool(torch.nn.utils.get_total_norm(scaled).isfinite())

    def halve(self) -> bool:
        """Halve it, unless it is 1 already; whether it was halved."""
        if self.value <= 1:
            return False
        self.value, self.fitted = self.value / 2, 0
        return True

    def fits(self) -> None:
        """Called after an update whose gradients are finite."""
        self.fitted += 1
        if self.fitted == PATIENCE and self.value < LARGEST:
            self.value, self.fitted = self.value * 2, 0

    def state(self) -> dict[str, float]:
        """What `restore` needs; nothing where it does not adapt."""
        return {"value": self.value, "fitted": self.fitted} if self.adapts else {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Continue from a state. Raises KeyError, TypeError or ValueError where it is not one."""
        if self.adapts and state:
            self.value, self.fitted = float(state["value"]), int(state["fitted"])
            if self.value < 1:
                raise ValueError(f"{self.value:g} is below 1")
