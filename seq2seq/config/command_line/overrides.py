"""One word of the command line: taken apart, read as Hydra would, quoted where Hydra would misread it."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from seq2seq.config.hydra_adapter import parse, sweep_values

_KEY = re.compile(r"[A-Za-z_][\w$-]*(?:[./@][\w$-]+)*\Z")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'\Z|"(?:[^"\\]|\\.)*"\Z""", re.DOTALL)
MOST_PIECES = 10_000
CONTAINERS = (list, tuple, dict, Sequence)
_SWEEP_CALL = re.compile(r"(?:choice|range|interval|glob|shuffle|sort|tag|extend_list)\s*\(.*\)\Z", re.DOTALL)


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


def choice_names(value: str) -> list[str]:
    """The choices that the value of a group names: one, or several in brackets."""
    override = parse(f"key={value}") if value.startswith("[") else None
    names = override.value() if override else value
    return [str(name) for name in names] if isinstance(names, list) else [value]


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
    override = parse(given) if word.value and _QUOTED.match(word.value) else None
    return f"{word.key}={override.value()}" if override else given.lstrip("+")


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
