"""A model's tensors by name, and back: tied tensors are stored once, what can be recomputed is left out. And the mean
of several models' tensors."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from seq2seq.errors import CheckpointError

# Parameters by the names that earlier versions gave them.
RENAMED = {f"generator.{name}": f"generator.output.{name}" for name in ("weight", "bias")}


def current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a model's parameters, or of an optimizer's fields of them, by the names that they have now."""
    named = {}
    for key, tensor in tensors.items():
        field, slash, name = key.rpartition("/")
        named[f"{field}{slash}{RENAMED.get(name, name)}"] = tensor
    return named


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, not copied; a tied one is listed once, under its first name.

    Give the bare model: a wrapper (DDP, torch.compile) would put its prefix before every name.
    """
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the model's tensors with their names, types and shapes, wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model_tensors(model).items()):
        digest.update(f"{name} {_kind(tensor)}\n".encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into the model, bit for bit; nothing is changed unless all of them fit.

    Raises CheckpointError that lists what is missing, unknown, or of another shape or type.
    """
    load_into(model_tensors(model), tensors)


def load_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """The same for tensors that belong to a model and are kept by name, such as averages of its weights."""
    problems = [f"{name}: not in the checkpoint" for name in own if name not in tensors]
    problems += [f"{name}: not in this model" for name in tensors if name not in own]
    for name, tensor in own.items():
        if name in tensors and _kind(tensors[name]) != _kind(tensor):
            problems.append(f"{name}: {_kind(tensors[name])} in the checkpoint, {_kind(tensor)} in this model")
    if problems:
        shown = problems[:8] + [f"... and {len(problems) - 8} more"] * (len(problems) > 8)
        raise CheckpointError("the checkpoint belongs to another model:\n  " + "\n  ".join(shown))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def mean_of_files(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean over the files of each floating-point tensor, summed in float64; of other tensors, the last file's.

    Tensors are read one at a time, to save memory. Raises CheckpointError where the files differ in names or shapes.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        for file, other in zip(files, opened, strict=True):
            if set(other.keys()) != set(opened[-1].keys()):
                raise CheckpointError(f"{file} does not have the tensors of {files[-1]}: they cannot be averaged")
        mean = {}
        for name in sorted(opened[-1].keys()):
            last = opened[-1].get_tensor(name)
            if last.is_floating_point():
                total = torch.zeros(last.shape, dtype=torch.float64)
                for file, other in zip(files, opened, strict=True):
                    tensor = other.get_tensor(name)
                    if tensor.shape != last.shape:
                        raise CheckpointError(f"{file}: {name} has another shape than in {files[-1]}")
                    total += tensor
                last = (total / len(files)).to(last.dtype)
            mean[name] = last
        return current_names(mean)


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
