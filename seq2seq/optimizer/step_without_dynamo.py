"""torch's optimizers without importing torch._dynamo, which takes long.

Constructing an optimizer, and each of its steps, import torch._dynamo and its dependencies, only to mark code that is
not to be compiled. Nothing here is compiled, and that import is a quarter of the time from a command to its first
update.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


def make_without_dynamo() -> None:
    """Let optimizers be made without it: torch keeps what it calls in place of these methods as an attribute of theirs,
    and makes that by the compiler where it is missing."""
    for method in (Optimizer.add_param_group, Optimizer.zero_grad):
        plain = inspect.unwrap(method)
        plain.__dynamo_disable = plain


def step(optimizer: Optimizer) -> None:
    """The optimizer's own step with the hooks that were registered for it, all but the wrapper that imports the
    compiler."""
    with_hooks(optimizer, lambda: step_without_hooks(optimizer))


def with_hooks(optimizer: Optimizer, work: Callable[[], None]) -> None:
    """Do `work` as a step of the optimizer: torch's pre- and post-hooks on steps, the global ones too, are called
    before and after it. As it takes no arguments, none that a pre-hook returns are used."""

    def as_step(*_: Any, **__: Any) -> None:
        work()

    Optimizer.profile_hook_step(as_step)(optimizer)


@torch.no_grad()
def step_without_hooks(optimizer: Optimizer) -> None:
    """The optimizer's own step alone: for what is part of a step, or is recorded to be replayed."""
    inspect.unwrap(type(optimizer).step)(optimizer)
