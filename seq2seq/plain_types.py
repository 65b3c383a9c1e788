"""Types without torch, so that processes that only handle text start quickly."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

PAD, UNK, BOS, EOS = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Pair:
    """One example as text. `references` are for scoring hypotheses (the target, if none are given)."""

    source: str
    target: str
    references: tuple[str, ...] = ()


class Capability(Enum):
    """A capability that one part gives and another needs; the value completes 'it needs ...'."""

    CONTEXT = "an attention that reads the source (any but none)"
    ALIGNED_MEMORY = "one memory state per source token (pooling=none)"
    WEIGHTS = "an attention with weights over the source"
    JOINT_VOCABULARY = "one vocabulary for source and target (tokenizer.joint: true)"


class Component:
    """The interface of a part's class before one is built.

    `wired` names the constructor's arguments that the builder supplies; a YAML file gives all the others. `typed_only`
    names those that only what the user types gives: what a run's config.yaml has is replaced by None.
    """

    wired: ClassVar[frozenset[str]] = frozenset()
    typed_only: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """What this part, with these YAML arguments, needs from the others."""
        return frozenset()

    @classmethod
    def gives(cls, **arguments: Any) -> frozenset[Capability]:
        """What this part, with these YAML arguments, gives the others."""
        return frozenset()


@dataclass(frozen=True)
class Part:
    """A pluggable as configured: the class its YAML names and the arguments it gives. Calling it builds one."""

    name: str
    target: Callable[..., Any]
    arguments: dict[str, Any]

    def __call__(self, **wired: Any) -> Any:
        """The component, with what the builder supplies in `wired`."""
        return self.target(**self.arguments, **wired)
