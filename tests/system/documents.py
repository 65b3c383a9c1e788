"""Reads the project's Markdown: its commands, its links, its tables."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^(?P<remark><!-- .*? -->\n)?```sh\n(?P<commands>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"<!-- untested: \S.* -->\n")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """A fenced block of shell commands; `untested`: do not execute it."""

    commands: str
    untested: bool


def blocks(page: Path) -> list[Block]:
    """The page's `sh` blocks, in order. One with `<!-- untested: why -->` above it is not executed."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["commands"], bool(REMARK.fullmatch(match["remark"] or ""))) for match in found]


def python(page: Path) -> str:
    """The page's `python` blocks, in order, as one program; those after an `untested` comment are left out."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^(<!-- untested: [^\n]*\n)?```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(program for untested, program in found if not untested)


def files(page: Path) -> dict[str, str]:
    """The files that the page shows in full: `their/name`, a colon and a fenced block."""
    found = re.findall(
        r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return dict(found)


def links(page: Path) -> list[str]:
    """The page's links to files of the project."""
    return LINK.findall(page.read_text(encoding="utf-8"))


def first_column(page: Path, heading: str) -> list[str]:
    """The code words in the first column of the table whose first heading is this."""
    table = page.read_text(encoding="utf-8").partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)


def trainings(page: Path) -> set[tuple[str, ...]]:
    """The arguments of each training command on the page that has no placeholders (NAME, ...).

    For a multirun (-m), the arguments of its first job. Commands with --config-dir are left out.
    """
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"(?:python scripts/train\.py|seq2seq train)\b([^`#\n|]*)", text)
    found = [words for words in found if "--config-dir" not in words]
    complete = [shlex.split(words) for words in found if not re.search(r"\b[A-Z]{3,}\b|\.\.\.|…|<", words)]
    return {
        tuple(word.split(",")[0] if "-m" in words else word for word in words if word != "-m") for words in complete
    }
