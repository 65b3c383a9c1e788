"""An optimizer over a model's parameters: weight decay is for matrices, not for biases, gains and other vectors."""

from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.optimizer.muon import Muon, is_hidden, stacked_rows
from seq2seq.optimizer.step_without_dynamo import make_without_dynamo
from seq2seq.types import Part


def build_optimizer(part: Part, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `part` names, over the parameters of `model` that learn, each once (tied ones included).

    Two groups: matrices (embeddings too) with the part's weight decay, and vectors (biases, norms) with none, since
    pulling a bias or a gain to zero restricts what a layer can express without regularising it. For Muon, hidden
    matrices are a third group. Raises ConfigError where torch refuses a value.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.dim() >= 2]
    vectors = [parameter for parameter in trained if parameter.dim() < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    if part.target is Muon:
        hidden = is_hidden(model)
        groups[0]["params"] = [parameter for parameter in matrices if not hidden[parameter]]
        own, stacked = [parameter for parameter in matrices if hidden[parameter]], stacked_rows(model)
        rows = [stacked.get(parameter, [len(parameter)]) for parameter in own]
        groups.append({"params": own, "rows": rows, "hidden": True})
    return _made(part, [group for group in groups if group["params"]])


def optimizer_problems(part: Part) -> list[str]:
    """torch's error about the part's values, found before any data is read; empty if there is none."""
    try:
        _made(part, [{"params": [nn.Parameter(torch.zeros(1))]}])
    except ConfigError as error:
        return [str(error)]
    return []


def _made(part: Part, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """torch wants tuples where YAML has lists."""
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in part.arguments.items()}
    make_without_dynamo()
    try:
        optimizer = part.target(params=groups, **arguments)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"optimizer={part.name}: {error}") from error
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group this learning rate from the next step on."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
