"""An optimizer's state as tensors named 'field/parameter', so that it fits the model and not the order of its parts."""

import torch
from torch import Tensor, nn

from seq2seq.errors import CheckpointError

SCALARS = ("step", "mu_product")  # what torch's optimizers keep as one number a parameter


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The state as tensors, e.g. 'exp_avg/encoder.layers.0.weight'; the optimizer's own tensors, not copies.

    A tied parameter is included once, under its first name. Hyperparameters are not state: they come from the run's
    configuration, and the learning rate from its schedule.
    """
    tensors = {}
    for name, parameter in model.named_parameters():
        for field, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                assert isinstance(value, Tensor), f"{type(optimizer).__name__} keeps {field} as {type(value).__name__}"
                tensors[f"{field}/{name}"] = value
    return tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put `optimizer_tensors` back, bit for bit, onto each parameter's device; the given tensors are copied.

    Raises CheckpointError if they are of another model or optimizer.
    """
    numbers = _numbers_by_name(optimizer, model)
    parameters = dict(model.named_parameters())
    state: dict[int, dict[str, Tensor]] = {}
    problems = []
    for key, value in tensors.items():
        field, _, name = key.partition("/")
        if name not in numbers:
            problems.append(f"{key}: the model has no such parameter to train")
        elif value.shape != parameters[name].shape and (value.dim() > 0 or field not in SCALARS):
            problems.append(
                f"{key}: {list(value.shape)} in the checkpoint, {list(parameters[name].shape)} in the model"
            )
        elif not value.is_floating_point():
            problems.append(f"{key}: {str(value.dtype).removeprefix('torch.')}, and it must be a floating type")
        else:
            state.setdefault(numbers[name], {})[field] = value.clone()
    for group in optimizer.state_dict()["param_groups"]:  # Muon's groups differ from one another
        if len({frozenset(state[number]) for number in group["params"] if number in state}) > 1:
            problems.append("the parameters do not all hold the same fields")
    if problems:
        shown = problems[:8] + [f"... and {len(problems) - 8} more"] * (len(problems) > 8)
        raise CheckpointError("the optimizer's state does not fit this model:\n  " + "\n  ".join(shown))
    # load_state_dict knows which fields belong on which device; the groups stay as they are.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _numbers_by_name(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, int]:
    """The number by which torch's state_dict knows each parameter: its place in the groups, one after the other."""
    places = {id(p): n for n, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    return {name: places[id(p)] for name, p in model.named_parameters() if id(p) in places}
