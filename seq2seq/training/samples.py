"""Sample outputs as a Markdown table, for TensorBoard's text page."""

import string
from collections.abc import Iterable, Sequence


def samples_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with a title a column, in which no character of a text is taken for markup."""
    lines = [table_row(titles), "|" + " --- |" * len(titles)]
    lines += [table_row([literal(text) for text in row]) for row in rows]
    return "\n".join(lines)


def table_row(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def literal(text: str) -> str:
    """`text` so written that Markdown and HTML show it as it is, on one line; an empty one becomes a dash."""
    on_one_line = " ".join(text.split())
    return "".join(f"&#{ord(c)};" if c in string.punctuation else c for c in on_one_line) or "–"
