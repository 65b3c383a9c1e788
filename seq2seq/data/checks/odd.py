"""Texts that are empty, or have characters that do not belong in a text."""

from collections.abc import Iterator

import numpy as np

from seq2seq.data.checks.characters import MARK, MARKUP, ODD, PRIVATE, REPLACEMENT, UNASSIGNED, kind_of, mojibake
from seq2seq.data.checks.findings import Finding, counted, percent
from seq2seq.data.checks.survey import HTML, MOJIBAKE, Survey

SHARE = 0.01  # of a split's texts
KINDS = {
    **ODD,
    MOJIBAKE: (
        "UTF-8 read as Windows-1252 (such as Ã¤ for ä)",
        "decode the text again, or remove these pairs",
    ),
    HTML: ("HTML (such as &amp; or <br>)", "turn it into plain text, or remove it"),
}
DAMAGE = (REPLACEMENT, UNASSIGNED, PRIVATE, MARK, MOJIBAKE)  # signs of a wrong conversion


def empty_sides(split: str, found: Survey) -> Iterator[Finding]:
    """Pairs with an empty side: training leaves them out, scores count them."""
    empty = found.source.blank | found.target.blank
    if count := int(empty.sum()):
        total = len(found)
        many = count >= SHARE * total
        yield Finding(
            "empty",
            "check" if many or split != "train" else "note",
            split,
            f"{count:,} of {total:,} pairs ({percent(count, total)}) have an empty side (source "
            f"{int(found.source.blank.sum()):,}, target {int(found.target.blank.sum()):,})",
            count,
            advice="training leaves them out" if split == "train" else "scores count them: remove them",
        ).at(np.flatnonzero(empty))


def odd_characters(split: str, found: Survey) -> Iterator[Finding]:
    """A finding for each kind of odd character on each side."""
    for (side, kind), rows in sorted(found.odd.items()):
        what, advice = KINDS[kind]
        many = len(rows) >= SHARE * len(found) or (kind in DAMAGE and len(rows) >= SHARE / 10 * len(found))
        yield Finding(
            "characters",
            "check" if many else "note",
            split,
            f"{counted(len(rows), side)} ({percent(len(rows), len(found))}) with {what}",
            len(rows),
            side=side,
            advice=advice,
        ).at(rows)


def first_odd(text: str) -> int:
    """Where the first odd character of a text is; 0 if there is none."""
    markup = MARKUP.search(text)
    places = [place for place, letter in enumerate(text) if kind_of(ord(letter)) in ODD]
    return min([*places[:1], *list(mojibake(text))[:1], *([markup.start()] if markup else [])], default=0)
