"""torch's optimizers without the compiler that they import: it takes as long as much of torch itself.

Making an optimizer and each of its steps load torch._dynamo and all that this needs, only to tell a compiler where not
to look. Nothing here is compiled, and that import is a quarter of the time from a command to its first update.
"""

import inspect

import torch
from torch.optim import Optimizer


def lighten() -> None:
    """Let optimizers be made without it: torch keeps what it calls in place of these methods as an attribute of theirs,
    and makes that by the compiler where it is missing."""
    for method in (Optimizer.add_param_group, Optimizer.zero_grad):
        plain = inspect.unwrap(method)
        plain.__dynamo_disable = plain


@torch.no_grad()
def step(optimizer: Optimizer) -> None:
    """The optimizer's own step, out of the wrapper that imports the compiler; hooks on steps are not called."""
    inspect.unwrap(type(optimizer).step)(optimizer)
