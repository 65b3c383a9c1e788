"""A step hook for tests: a moving average of the weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from seq2seq.training.step_hooks import StepHook


class MovingAverage(StepHook):
    """Averages the weights, counts its calls, and keeps the norm of the gradients that it sees."""

    name = "mean"

    def __init__(self, model: nn.Module) -> None:
        self.averages = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        self.calls = torch.zeros((), dtype=torch.int64)
        self.norms: list[float] = []
        self.updates: list[int] = []

    def __call__(self, model: nn.Module, update: int) -> None:
        for name, parameter in model.named_parameters():
            self.averages[name].lerp_(parameter, 0.1)
        self.calls += 1
        self.updates.append(update)
        self.norms.append(float(nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)))

    def tensors(self) -> Mapping[str, Tensor]:
        return self.averages | {"calls": self.calls}


def averages(run: str, step: int) -> dict[str, Tensor]:
    """The tensors of the hook in a checkpoint."""
    return load_file(Path("runs", run, "checkpoints", f"step-{step}", "mean.safetensors"))
