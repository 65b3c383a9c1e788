"""Sample outputs as Markdown, for TensorBoard's text page: the texts of a sample one below the other."""

import string
from collections.abc import Iterable, Sequence

LONGEST = 600  # characters of a text that are shown


def samples_page(titles: Sequence[str], samples: Iterable[Sequence[str]]) -> str:
    """A section per sample, with one line per title and the whole width for each text, because long texts do not fit
    into a table.

    No character of a text is interpreted as markup.
    """
    sections = []
    for number, texts in enumerate(samples, start=1):
        lines = [f"- **{title}:** {shown(text)}" for title, text in zip(titles, texts, strict=True)]
        sections.append("\n".join([f"**{number}**", "", *lines]))
    return "\n\n".join(sections)


def shown(text: str) -> str:
    """`text`, or the beginning of a long one, cut at a space if possible, and its length."""
    if len(text) <= LONGEST:
        return literal(text)
    end = text.rfind(" ", LONGEST // 2, LONGEST)
    return f"{literal(text[: end if end > 0 else LONGEST])} … *({len(text):,} characters)*"


def literal(text: str) -> str:
    """`text` escaped so that Markdown and HTML show it literally, on one line; an empty one becomes a dash."""
    on_one_line = " ".join(text.split())
    return "".join(f"&#{ord(c)};" if c in string.punctuation else c for c in on_one_line) or "–"
