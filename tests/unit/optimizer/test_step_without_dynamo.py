"""Optimizer steps without torch's compiler equal torch's, and training does not load the compiler."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import SMALL
from torch import nn

from seq2seq.optimizer.step_without_dynamo import step

KINDS = [
    (torch.optim.AdamW, {"fused": True}),
    (torch.optim.Adam, {"fused": False}),
    (torch.optim.SGD, {"momentum": 0.9}),
    (torch.optim.Adagrad, {}),
]


def stepped(kind: type[torch.optim.Optimizer], arguments: dict, *, without_dynamo: bool) -> list[torch.Tensor]:
    """Weights after three steps."""
    torch.manual_seed(1)
    model = nn.Linear(5, 3)
    optimizer = kind(model.parameters(), lr=0.1, **arguments)
    for _ in range(3):
        model(torch.randn(4, 5)).square().sum().backward()
        step(optimizer) if without_dynamo else optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize(("kind", "arguments"), KINDS, ids=lambda it: getattr(it, "__name__", None))
def test_a_step_without_the_compiler_equals_torchs(kind: type[torch.optim.Optimizer], arguments: dict) -> None:
    expected, found = (stepped(kind, arguments, without_dynamo=without) for without in (False, True))
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_training_never_loads_the_compiler(tmp_path: Path) -> None:
    words = [word for word in SMALL if not word.startswith("trainer.max_updates")]
    program = f"""
import sys
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.training.run import train
train(load_train(compose(CONFIGS, "train", {[*words, "trainer.max_updates=2", "run=light"]!r})))
print({{"torch._dynamo", "sympy"}} & sys.modules.keys())
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
