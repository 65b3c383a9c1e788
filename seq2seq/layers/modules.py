"""Lists of modules that keep their type."""

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from torch import nn

M = TypeVar("M", bound=nn.Module)


def module_list(modules: Iterable[M]) -> Sequence[M]:
    """An nn.ModuleList, whose items type checkers know: torch itself calls them modules of any kind."""
    return cast(Sequence[M], nn.ModuleList(modules))
