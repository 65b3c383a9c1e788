"""Converts plain YAML values to annotated types: settings, parts and their arguments. Collects all mistakes."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from torch import Tensor

from seq2seq.config.problems import Problem, did_you_mean, listed, show
from seq2seq.config.schema import ELSEWHERE, SEVERAL
from seq2seq.config.targets import Targets, signature_of
from seq2seq.types import Part

MISSING = "???"
LARGEST = 2**63 - 1  # of 64-bit integers
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}


class Reader:
    """Converts values to their annotations. Mistakes are collected in `problems`, each with its dotted key.

    `choices` name the parts that are keys of their own.
    """

    def __init__(self, targets: Targets, choices: Mapping[str, str] | None = None) -> None:
        self.targets = targets
        self.choices = choices or {}
        self.problems: list[Problem] = []

    def note(self, key: str, text: str) -> None:
        """Add a mistake to `problems`."""
        self.problems.append(Problem(key, text))

    def value(self, key: str, annotation: Any, value: Any) -> Any:
        """`value` converted to `annotation`: for a float 1 becomes 1.0, for a part a dict with `_target_` a Part."""
        if isinstance(value, str) and value == MISSING:
            self.note(key, f"must be given: {describe(annotation)}")
            return value
        origin = get_origin(annotation)
        if annotation is Any:
            self._check_all(key, value)
            return value
        if origin in (Union, types.UnionType):
            return self._union(key, annotation, value)
        if origin is Literal:
            return self._literal(key, annotation, value)
        if takes_part(annotation):
            return self.part(key, value, name=self.choices.get(key))
        if dataclasses.is_dataclass(annotation):
            return self.section(key, annotation, value)
        if origin in (list, tuple, Sequence) or annotation in (list, tuple):
            return self._sequence(key, annotation, value)
        if origin in (dict, Mapping) or annotation is dict:
            return self._mapping(key, annotation, value)
        return self._plain(key, annotation, value)

    def _plain(self, key: str, annotation: Any, value: Any) -> Any:
        if annotation is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
            return float(value)
        if annotation is int and isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST:
            return int(value)  # 1e4
        has_type = isinstance(value, annotation) if isinstance(annotation, type) else True
        if not has_type or (isinstance(value, bool) and annotation in (int, float)):
            hint = "; put it in quotes" if annotation is str and isinstance(value, int | float) else ""
            self.note(key, f"expected {describe(annotation)}, got {show(value)}{hint}")
        elif invalid := _invalid(value):
            self.note(key, invalid)
        return value

    def _check_all(self, key: str, value: Any) -> None:
        """Note what is invalid for every key, in a value of any type."""
        if isinstance(value, dict):
            for name, item in value.items():
                self._check_all(f"{key}.{name}", item)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                self._check_all(f"{key}[{index}]", item)
        elif invalid := _invalid(value):
            self.note(key, invalid)

    def _literal(self, key: str, annotation: Any, value: Any) -> Any:
        allowed = get_args(annotation)
        if not any(value == item and type(value) is type(item) for item in allowed):
            known = ELSEWHERE.get(key, {}).get(str(value).lower() if isinstance(value, str | int) else "")
            close = f"; {known}" if known else did_you_mean(show(value).strip("'"), [str(item) for item in allowed])
            self.note(key, f"expected {describe(annotation)}, got {show(value)}{close}")
        return value

    def _union(self, key: str, annotation: Any, value: Any) -> Any:
        attempts = []
        members = get_args(annotation)
        if isinstance(value, float):  # try int last: 2.0 becomes 2 only if no other member accepts it
            members = tuple(sorted(members, key=lambda member: member is int))
        for member in members:
            attempt = Reader(self.targets)
            read = attempt.value(key, member, value)
            if not attempt.problems:
                return read
            attempts.append(attempt.problems)
        inside = [problems for problems in attempts if any(problem.key != key for problem in problems)]
        if len(inside) == 1:
            self.problems += inside[0]
        elif invalid := _invalid(value):
            self.note(key, invalid)
        else:
            self.note(key, f"expected {describe(annotation)}, got {show(value)}")
        return value

    def _sequence(self, key: str, annotation: Any, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            self.note(key, f"expected {describe(annotation)}, got {show(value)}")
            return value
        kind = tuple if annotation is tuple or get_origin(annotation) is tuple else list
        inner = get_args(annotation)
        if kind is tuple and inner and Ellipsis not in inner:
            if len(inner) != len(value):
                self.note(key, f"expected {describe(annotation)}, got {show(value)}")
                return value
            each: Sequence[Any] = inner
        else:
            each = [inner[0] if inner else Any] * len(value)
        return kind(self.value(f"{key}[{i}]", a, item) for i, (a, item) in enumerate(zip(each, value, strict=True)))

    def _mapping(self, key: str, annotation: Any, value: Any) -> Any:
        if not isinstance(value, dict) or "_target_" in value:
            self.note(key, f"expected {describe(annotation)}, got {show(value)}")
            return value
        names, inner = get_args(annotation) or (Any, Any)
        for name in value:
            if isinstance(name, str) and not name.isprintable():
                self.note(key, f"{show(name)} cannot be a name: expected printable text")
                return {}
        if takes_part(inner):
            return {name: self.part(f"{key}.{name}", item, name=str(name)) for name, item in value.items()}
        for name in value:
            self.value(f"{key}.{name}", names, name)
        return {name: self.value(f"{key}.{name}", inner, item) for name, item in value.items()}

    def section(self, key: str, kind: Any, value: Any) -> Any:
        """An instance of the frozen dataclass `kind`, from a dict of its fields; None where that is impossible."""
        if not isinstance(value, dict):
            self.note(key, f"expected keys and values, got {show(value)}; it takes: {listed(_fields(kind))}")
            return None
        hints = typing.get_type_hints(kind)
        required = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
        before = len(self.problems)
        arguments = self._arguments(key, hints, frozenset(required), value, owner=f"{key} takes")
        # Wrong values have been noted. They are replaced by values of the right type, so that other checks can run.
        wrong = {problem.key for problem in self.problems[before:]}
        for name in arguments:
            if any(noted.startswith(f"{key}.{name}".lstrip(".")) for noted in wrong):
                arguments[name] = placeholder(hints[name])
        return kind(**arguments) if set(required) <= set(arguments) else None

    def part(self, key: str, value: Any, *, name: str | None) -> Part | None:
        """A Part from a dict with `_target_`, its arguments checked against the class; None where that is impossible.

        `name` is the choice (`lstm` of `encoder=lstm`); None: the name of the class.
        """
        if not isinstance(value, dict) or "_target_" not in value:
            self.note(key, f"expected a part (keys with a _target_), got {show(value)}")
            return None
        try:
            target = self.targets.resolve(value["_target_"], _part_of(key))
        except ValueError as error:
            self.note(f"{key}._target_", str(error))
            return None
        if value.get("_partial_", True) is not True:
            self.note(f"{key}._partial_", f"is always true, got {show(value['_partial_'])}")
        given = {argument: item for argument, item in value.items() if argument not in ("_target_", "_partial_")}
        signature = signature_of(target)
        for argument in sorted(signature.wired & given.keys()):
            self.note(f"{key}.{argument}", "the builder supplies it; take it out")
            del given[argument]
        owner = f"{key}={name} takes" if name else f"{target.__name__} takes"
        arguments = self._arguments(key, signature.annotations, signature.required, given, owner=owner)
        return Part(name=name or target.__name__, target=target, arguments=arguments)

    def _arguments(
        self, key: str, annotations: dict[str, Any], required: frozenset[str], given: dict[str, Any], *, owner: str
    ) -> dict[str, Any]:
        """The known arguments, converted. Notes unknown and missing ones, but not a misspelt one as missing, too."""
        dot = f"{key}." if key else ""
        missing = required - given.keys()
        for name in [name for name in given if name not in annotations]:
            close = did_you_mean(str(name), sorted(missing) or annotations) or did_you_mean(str(name), annotations)
            missing = missing - {guess for guess in missing if close == f"; did you mean {guess}?"}
            self.note(f"{dot}{name}", f"no such key{close or '.'} {owner}: {listed(annotations)}")
        for name in sorted(missing):
            self.note(f"{dot}{name}", f"must be given: {describe(annotations[name])}")
        return {
            name: self.value(f"{dot}{name}", annotations[name], item)
            for name, item in given.items()
            if name in annotations
        }


def _invalid(value: Any) -> str | None:
    """Why a value is invalid for every key, whatever its annotation; None if it is not."""
    if not isinstance(value, str | int | float | None):
        return f"expected text, a number, true, false or null, got {show(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, got {show(value)}"
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"expected a whole number of at most 64 bits, got {show(value)}"
    if isinstance(value, str) and "\0" in value:
        return f"text cannot contain the character NUL, got {show(value)}"
    # U+DC80 to U+DCFF are allowed: they stand for bytes of a file's name that are not UTF-8 (PEP 383).
    if isinstance(value, str) and re.search("[\ud800-\udc7f\udd00-\udfff]", value):
        return f"text cannot contain an unpaired surrogate, got {show(value)}"
    return None


def _part_of(key: str) -> str:
    """The name of the part whose class this key holds: encoder, metrics for metrics.bleu, or an argument's name."""
    first, *inner = key.split(".")
    return first if len(inner) == (first in SEVERAL) else key.rpartition(".")[2]


def placeholder(annotation: Any) -> Any:
    """Any value of this type; None where there is no simple one."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return next(filter(None, map(placeholder, inner)), None)
    if origin is Literal:
        return inner[0]
    return {bool: False, int: 1, float: 0.5, str: "?", list: [], dict: {}}.get(origin or annotation)


def takes_part(annotation: Any) -> bool:
    """Whether the annotation is that of a part: Part itself, or a factory (Callable)."""
    return annotation is Part or annotation is Callable or get_origin(annotation) is Callable


def describe(annotation: Any) -> str:
    """The values that an annotation allows, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin in (Union, types.UnionType):
        members = [member for member in inner if member is not Tensor]  # a YAML file cannot hold a Tensor
        return " or ".join(describe(member) for member in members)
    if origin is Literal and len(inner) == 1:
        return str(inner[0])
    if origin is Literal:
        return "one of " + ", ".join(item if isinstance(item, str) else show(item) for item in inner)
    if takes_part(annotation):
        return "a part (keys with a _target_)"
    if origin is tuple and inner and Ellipsis not in inner:
        return "a list: [" + ", ".join(describe(member) for member in inner) + "]"
    if origin in (list, tuple, Sequence):
        return f"a list, each item {describe(inner[0])}"
    if origin in (dict, Mapping):
        return f"keys with {describe(inner[1])} each"
    if dataclasses.is_dataclass(annotation):
        return f"the keys {listed(_fields(annotation))}"
    return getattr(annotation, "__name__", str(annotation))


def _fields(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
