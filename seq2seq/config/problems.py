"""Mistakes in a configuration: collected, then reported together, one per line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from seq2seq.errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """One mistake: the dotted key it concerns and what is wrong with it."""

    key: str
    text: str


class Mistakes(ConfigError):
    """Every mistake found in a configuration; `lines` are the message's lines, one a mistake."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(dict.fromkeys(line.replace("\n", "\\n") for line in lines))  # a word may hold one
        count = "1 mistake" if len(self.lines) == 1 else f"{len(self.lines)} mistakes"
        super().__init__("\n  ".join([f"{count} in the configuration:", *self.lines]))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean X?', or nothing where no known word is close."""
    known = list(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        last = {name.rpartition(".")[2]: name for name in reversed(known)}
        close = [last[name] for name in get_close_matches(word.rpartition(".")[2], last, n=1, cutoff=0.7)]
    return f"; did you mean {close[0]}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """The names in order, separated by commas, or 'nothing'."""
    return ", ".join(sorted(names)) or "nothing"


def one_line(error: Exception) -> str:
    """Hydra's and OmegaConf's errors without their 'full_key' tail, on one line."""
    lines = [line.strip() for line in str(error).split("\nConfig search path")[0].split("\n")]
    kept = [line for line in lines if line and not line.startswith(("full_key:", "object_type="))]
    return " ".join(kept) or type(error).__name__


def show(value: Any) -> str:
    """A value as it would be written in a YAML file, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more than 4,300 digits
        return "a value too long to show"
    return text if len(text) <= 60 else text[:57] + "..."
