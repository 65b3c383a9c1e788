"""Annotations that a field of a settings class adds to its type: limits, and how stored runs treat the key.

size: Annotated[int, ABOVE_ZERO]
strategy: Annotated[Literal["auto", "ddp"], MAY_CHANGE, Older("auto")]
"""

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from operator import attrgetter
from types import UnionType
from typing import Any

from seq2seq.config.problems import Problem, show
from seq2seq.plain_types import Part


@dataclasses.dataclass(frozen=True)
class Limit:
    """What a value must be, in words and as a function. Values of other types than `of` (null, auto) are not checked.

    `hint` completes the message for a value that is refused.
    """

    expected: str
    holds: Callable[[Any], bool]
    of: type | UnionType = int | float
    hint: Callable[[Any], str] = lambda _: ""


class Rule(Enum):
    """How stored runs treat a key."""

    MAY_CHANGE = "a run may be continued with another value; applies to all keys below a section or group"
    NOT_STORED = "specific to a machine: not stored with a run"
    NO_KEY = "set by the loader: not a key of the command line"


@dataclasses.dataclass(frozen=True)
class Older:
    """The key was added later: a run whose config.yaml lacks it behaved as with this value."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Typed:
    """The key has no value before it is typed, as in `example`."""

    example: str


MAY_CHANGE, NOT_STORED, NO_KEY = Rule.MAY_CHANGE, Rule.NOT_STORED, Rule.NO_KEY
ABOVE_ZERO = Limit("more than 0", lambda value: value > 0)
ONE_OR_MORE = Limit("1 or more", lambda value: value >= 1)
ZERO_OR_MORE = Limit("0 or more", lambda value: value >= 0)
ZERO_OR_LESS = Limit("0 or less", lambda value: value <= 0)
SHARE = Limit("a share from 0 to below 1", lambda value: 0 <= value < 1)


def is_run_name(run: str) -> bool:
    """Whether a run can be called so, or lie there: no control characters, nothing that is no text."""
    return run not in ("", ".", "..") and not re.search("[\0-\x1f\x7f-\x9f\ud800-\udfff]", run)


NEW_RUN = Limit("a name (runs/NAME) or a path with a slash", is_run_name, str)
OTHER_RUN = Limit("a run's name or a path with a slash", is_run_name, str)
CHECKPOINT = Limit(
    "best, last, average, average-best, ema or step-N",
    lambda name: re.fullmatch(r"best|last|average|average-best|ema|step-\d+", name) is not None,
    str,
)
FOLDER = Limit("a folder (SEQ2SEQ_CACHE or the given value is empty)", bool, str)


def rules(kind: Any, above: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every key of a settings class, dotted below its sections, with what its field says of it."""
    plain = typing.get_type_hints(kind)
    for name, annotation in typing.get_type_hints(kind, include_extras=True).items():
        yield f"{above}{name}", getattr(annotation, "__metadata__", ())
        if dataclasses.is_dataclass(plain[name]) and plain[name] is not Part:
            yield from rules(plain[name], f"{above}{name}.")


def keys_with(rule: Rule, kind: Any) -> frozenset[str]:
    """The keys of a settings class that have this rule."""
    return frozenset(key for key, marks in rules(kind) if rule in marks)


def older_values(kind: Any) -> dict[str, Any]:
    """By dotted key, the value of runs that are older than the key."""
    return {key: rule.value for key, marks in rules(kind) for rule in marks if isinstance(rule, Older)}


def with_examples(problems: Sequence[Problem], kind: Any) -> list[Problem]:
    """The problems; that of a key which was not typed says how to type it, if its field does."""
    examples = {key: rule.example for key, marks in rules(kind) for rule in marks if isinstance(rule, Typed)}
    return [
        Problem(each.key, f"{examples[each.key]}: must be given")
        if each.key in examples and each.text.startswith("must be given")
        else each
        for each in problems
    ]


def beyond_limits(settings: Any, known: Sequence[Problem] = ()) -> list[Problem]:
    """A problem for each value beyond a limit of its field; keys with a `known` problem are passed over."""
    wrong = {problem.key.partition("[")[0] for problem in known}
    return [
        Problem(key, f"expected {limit.expected}, got {show(value)}{limit.hint(value)}")
        for key, marks in rules(type(settings))
        for limit in marks
        if isinstance(limit, Limit) and key not in wrong
        if isinstance(value := attrgetter(key)(settings), limit.of) and not limit.holds(value)
    ]
