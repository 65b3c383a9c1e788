"""What a check has found, and the words for places in a text."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from seq2seq.streams import visible

SHOWN = 5  # rows of a finding that are named
WIDTH = 60  # characters of an example

# serious: scores mean little, or training stops; check: it may cost quality; note: good to know.
Level = Literal["serious", "check", "note"]
LEVELS: tuple[Level, ...] = ("serious", "check", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that was found in a split: how many pairs have it, the first of their `rows` (from 0), what to do.

    `kind` names the check, for programs. `side` is source, target, or None where both are concerned.
    """

    kind: str
    level: Level
    split: str
    text: str
    count: int
    rows: tuple[int, ...] = ()
    side: str | None = None
    advice: str = ""

    def at(self, rows: Iterable[int]) -> "Finding":
        """The same with the first of these rows."""
        return replace(self, rows=first_rows(rows))


def first_rows(rows: Iterable[int]) -> tuple[int, ...]:
    """The first few rows, as plain numbers."""
    return tuple(int(row) for row in np.asarray(list(rows)[:SHOWN], np.int64))


def counted(count: int, word: str) -> str:
    """1 source, 2 sources."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def percent(count: int, total: int) -> str:
    """The share as text: 12%, 1.5%, under 0.1%."""
    share = count / max(total, 1)
    if 0 < share < 0.001:
        return "under 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def shown(text: str, width: int = WIDTH, around: int = 0) -> str:
    """The beginning of a text, or what is `around` a place in it, on one line; each character that cannot be seen is
    an escape."""
    start = max(min(around - width // 2, len(text) - width), 0)
    cut = "…" * (start > 0) + text[start : start + width] + "…" * (len(text) > start + width)
    safe = visible(cut).replace("\n", "\\n").replace("\t", "\\t")
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in safe)


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
