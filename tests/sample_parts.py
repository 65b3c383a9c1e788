"""Parts for the tests of the configuration: only constructors, with every kind of annotation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from seq2seq.types import Component, Part


class Source(Component):
    """The text files of each set."""

    def __init__(self, *, files: dict[str, dict[str, str | list[str]]], locale: str | None) -> None:
        if not files:
            raise ValueError("data.files: at least one set is needed")


class Small(Component):
    """A part with one argument."""

    wired: ClassVar[frozenset[str]] = frozenset({"width"})

    def __init__(self, *, width: int, dropout: float) -> None:
        pass


class Wide(Component):
    """A part with an argument that Small does not have."""

    wired: ClassVar[frozenset[str]] = frozenset({"width"})

    def __init__(self, *, width: int, dropout: float, attn_dim: int) -> None:
        pass


class Recurrent(Component):
    """An encoder or decoder."""

    wired: ClassVar[frozenset[str]] = frozenset({"input_dim"})

    def __init__(
        self, *, input_dim: int, hidden_size: int, layers: int, mode: Literal["before", "after"], bias: bool
    ) -> None:
        pass


class Beam(Component):
    """A search."""

    def __init__(self, *, beam_size: int, length_penalty: float, max_length: list[float]) -> None:
        if beam_size < 1:
            raise ValueError(f"search.beam_size: expected 1 or more, got {beam_size}")


class Greedy(Component):
    """Another search."""

    def __init__(self, *, max_length: list[float]) -> None:
        pass


class Decay(Component):
    """A schedule with a horizon."""

    def __init__(self, *, warmup: int, horizon: int | None) -> None:
        pass


class Score(Component):
    """A metric."""

    names = ("bleu",)

    def __init__(self, *, tokenize: str) -> None:
        pass


class Plain(Component):
    """A part without arguments."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True)
class Window:
    """Settings inside settings."""

    width: int
    kind: Literal["hard", "soft"] = "hard"


class Nested(Component):
    """A part that contains others."""

    def __init__(
        self,
        *,
        normalizer: Part,
        factory: Callable[..., Any] | None = None,
        windows: list[Window] | None = None,
        betas: tuple[float, float] = (0.9, 0.98),
        steps: list[int] | int = 1,
    ) -> None:
        pass


class Alien:
    """A class that is not a component."""
