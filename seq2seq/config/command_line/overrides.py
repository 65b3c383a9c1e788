"""One word of the command line: taken apart, read as Hydra would, quoted where Hydra would misread it.

Hydra itself is imported for what is rarely typed: its functions, nested lists, dictionaries.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

_KEY = re.compile(r"[A-Za-z_][\w$-]*(?:[./@][\w$-]+)*\Z")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'\Z|"(?:[^"\\]|\\.)*"\Z""", re.DOTALL)
MOST_PIECES = 10_000
CONTAINERS = (list, tuple, dict, Sequence)
_SWEEP_CALL = re.compile(r"(?:choice|range|interval|glob|shuffle|sort|tag|extend_list)\s*\(.*\)\Z", re.DOTALL)
# What Hydra's grammar reads in the same way.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})\Z", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z_/][\w./-]*\Z", re.ASCII)
_LIST = re.compile(r"\[([^\[\]{}()'\"\\$]*)\]\Z")
_CONSTANTS = {"true": True, "false": False, "null": None}
_RESERVED = ("true", "false", "null", "inf", "nan")  # in capitals, too


@dataclass(frozen=True)
class Word:
    """`key=value` as typed, with its prefix (`+`, `++`, `~` or none); value is None where no `=` was typed."""

    typed: str
    prefix: str
    key: str
    value: str | None

    def holds_a_key(self) -> bool:
        """Whether the key can be one."""
        return _KEY.match(self.key) is not None


def take_apart(typed: str) -> Word:
    """The parts of a word of the command line."""
    bare = typed.lstrip("+~")
    key, equals, value = bare.partition("=")
    return Word(typed, typed[: len(typed) - len(bare)], key, value if equals else None)


@dataclass(frozen=True)
class Value:
    """What a typed value is: plain data. Of several values for a multirun (`several`) there is none."""

    data: Any
    several: bool = False


def read_value(text: str) -> Value | None:
    """The value as Hydra's grammar reads it, or None where it refuses."""
    if _QUOTED.match(text):
        return Value(_unquoted(text))
    found = _simple(text) or _simple_list(text)
    if found is not None:
        return found
    from seq2seq.config.hydra_adapter import parse

    override = parse(f"key={text}")
    if override is None:
        return None
    return Value(None, several=True) if override.is_sweep_override() else Value(override.value())


def is_simple(text: str) -> bool:
    """Whether a text is read as this text although it is not in quotes."""
    found = _simple(text)
    return found is not None and found.data == text


def _unquoted(text: str) -> str:
    """The text inside quotes: before a quote and at the end two backslashes stand for one."""
    return re.sub(rf"\\+(?={text[0]}|\Z)", lambda found: found[0][: len(found[0]) // 2], text[1:-1])


def _simple(text: str) -> Value | None:
    """A number, true, false, null or a name; None for anything else."""
    if text in _CONSTANTS:
        return Value(_CONSTANTS[text])
    if _INTEGER.match(text):
        return Value(int(text))
    if _FLOAT.match(text):
        return Value(float(text))
    return Value(text) if _NAME.match(text) and text.lower() not in _RESERVED else None


def _simple_list(text: str) -> Value | None:
    """A list of such values; None for anything else."""
    inside = _LIST.match(text)
    if inside is None:
        return None
    items = [_simple(item.strip(" \t")) for item in inside[1].split(",")] if inside[1] else []
    return None if None in items else Value([item.data for item in items if item is not None])


def choice_names(value: str) -> list[str]:
    """The choices that the value of a group names: one, or several in brackets."""
    found = read_value(value) if value.startswith("[") else None
    return [str(name) for name in found.data] if found and isinstance(found.data, list) else [value]


def quoted(text: str) -> str:
    """The text in quotes of Hydra's grammar, so that it stays this text."""
    # Backslashes count only before a quote or at the end, where each must be doubled.
    text = re.sub(r"(\\*)(')", lambda found: found[1] * 2 + r"\'", text)
    text = re.sub(r"(\\+)\Z", lambda found: found[1] * 2, text)
    return f"'{text}'"


def for_shell(key: str, value: str) -> str:
    """`key=value` as it must be typed in a shell for the value to arrive as text."""
    text = f"{key}={quoted(value)}"
    return shlex.quote(text) if re.search(r'["$`\\\\!]', text) else f'"{text}"'


def as_text(value: str) -> str:
    """A value for a key that holds text: what was typed, be it a number to Hydra or nothing it can read."""
    if _QUOTED.match(value) or "${" in value:
        return value
    return quoted(value)


def literal(value: Any) -> Any:
    """Plain data such that Hydra reads every text in it letter for letter: nothing in it is resolved."""
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    if isinstance(value, str) and "${" in value:
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value


def as_typed(given: str) -> str:
    """The word behind what Hydra was given: without the `++` and the quotes that `as_text` put there."""
    word = take_apart(given)
    text = word.value and _QUOTED.match(word.value)
    return f"{word.key}={_unquoted(text[0])}" if text else given.lstrip("+")


def wants_text(annotation: Any, value: str) -> bool:
    """Whether a value typed for a key with this annotation is to be taken as text, letter for letter."""
    members = get_args(annotation) if get_origin(annotation) is not Literal and get_args(annotation) else (annotation,)
    if annotation is str:
        return True
    if str not in members or get_origin(annotation) in CONTAINERS:
        return False
    if type(None) in members and value.lower() == "null":
        return False
    has_containers = any(get_origin(member) in CONTAINERS for member in members)
    return not (has_containers and value[:1] in "[{")


def pieces(value: str) -> list[str]:
    """A sweep's values: split at commas outside quotes and brackets; [value] where there is no sweep."""
    if _SWEEP_CALL.match(value):
        from seq2seq.config.hydra_adapter import sweep_values

        return sweep_values(f"key={value}", MOST_PIECES) or [value]
    found, depth, quote, start = [], 0, "", 0
    for i, letter in enumerate(value):
        if quote:
            quote = "" if letter == quote and value[i - 1] != "\\" else quote
        elif letter in "'\"" and not value[start:i].strip():
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0:
            found.append(value[start:i].strip())
            start = i + 1
    return [*found, value[start:].strip()] if found else [value]
