"""Lists of modules whose items keep their type."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from torch import nn

M = TypeVar("M", bound=nn.Module)


class Layers(nn.ModuleList, Generic[M]):
    """An nn.ModuleList with typed items."""

    if TYPE_CHECKING:

        def __init__(self, modules: Iterable[M]) -> None: ...
        def __iter__(self) -> Iterator[M]: ...
        @overload
        def __getitem__(self, index: slice) -> "Layers[M]": ...
        @overload
        def __getitem__(self, index: int) -> M: ...
        def __getitem__(self, index: int | slice) -> "M | Layers[M]": ...
