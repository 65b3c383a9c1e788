"""The prose of a docstring: its summary, and its body without code, tables of parameters and markup."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

# Sections of tables, code or addresses, in any convention; all others are prose.
NO_PROSE = re.compile(
    r"(?:(?:other|keyword|optional|type|call|input|output|class|instance|public|sample|example|usage) )?"
    r"(?:param(?:eter)?s?|arg(?:ument)?s?|returns?|yields?|raises?|exceptions?|throws|attributes?|members|methods"
    r"|properties|receives|warns|inputs?|outputs?|examples?|usage|references?|shapes?)|see also",
    re.IGNORECASE,
)
ADMONITIONS = "note|warning|tip|important|hint|caution|attention|danger"
HEADING = re.compile(r"#*\s*\**([A-Za-z][A-Za-z ]*?)\**(?: ?\([a-z ]+\))?::?\**$")  # 'Args:'
HEADED = re.compile(r"(?:args|returns?|yields?|raises|examples?|usage|see also|e\.g)\.?:\s+\S", re.IGNORECASE)
FIELD = re.compile(
    r"[:@](?:param|parameter|arg|argument|key|keyword|kwarg|type|raises?|except|exception|var|ivar|cvar|vartype|returns?"
    r"|rtype|yields?|meta|note|see)\b[^:]*:(?!`)"
)
UNDERLINE = re.compile(r"([=\-~^*#+])\1{2,}$")
DIRECTIVE = re.compile(r"\.\.(?: |$)")
ADMONITION = re.compile(rf"\.\. *(?:{ADMONITIONS}) *::(.*)", re.IGNORECASE)
NOTE = re.compile(rf"\**(?:{ADMONITIONS})s?\**:?$", re.IGNORECASE)
TABLE = re.compile(r"[=-]+(?: +[=-]+)+$|\+[-=+]+\+$|\|.*\|$")
DOCTEST = re.compile(r">>>|In \[\d+\]:|[$%] ")
FENCE = "```"
ITEM = re.compile(r"(?:[-*+•]|\(?\w{1,2}[.)])\s+(?=\S)")
CODE = re.compile(r"import \w|from \S+ import|@\w|[\w.]+\(.*\)$|[\w.\[\], ]+ = \S|<\w|%\(\w+\)s$|https?://\S+$")
LEAST_LETTERS = 0.6  # of the characters of a paragraph; code, formulas and drawings have fewer
WORD = re.compile(r"(?<!\S)[A-Za-z]{2,}[.,;:!?]?(?!\S)")
LEAST_WORDS = 3  # of plain letters, in a paragraph
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(:*])")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|al|resp|approx|incl|[A-Z])|\.\.)\.$")
MARKUP = [
    (re.compile(r":[\w:+.-]+:`([^`<]+?) ?<[^`]*>`"), r"\1"),  # :role:`text <target>`
    (re.compile(r":[\w:+.-]+:`[~!]?([^`]*)`"), r"\1"),  # :role:`text`
    (re.compile(r"`([^`<]+?)\s*<[^`>]+>`__?"), r"\1"),  # `text <address>`_
    (re.compile(r"\[([^\]]+)\]\([^)\s]+\)"), r"\1"),  # [text](address)
    (re.compile(r"\s*\[\w+\]_"), ""),  # a footnote's mark
    (re.compile(r"`+([^`]*)`+_?_?"), r"\1"),
    (re.compile(r"\\([*_|`<>])"), r"\1"),  # escaped
    (re.compile(r"(?<![\w*])(\*{1,2})(\w(?:[^*]*[\w.!?:)])?)\1(?![\w*])"), r"\2"),  # **bold**, *emphasised*
    (re.compile(r"\s+"), " "),
]


def summary_and_body(docstring: str) -> tuple[str, str]:
    """The first sentence, and all prose after it, one paragraph or list item per line; either may be empty.

    Removed are doctests and other code, sections and fields of parameters, directives except for the text of notes and
    warnings, tables, underlines and footnotes. Inline markup is reduced to its text.
    """
    paragraphs = _texts(list(_paragraphs(_prose(inspect.cleandoc(docstring).split("\n")))))
    if not paragraphs:
        return "", ""
    summary, *rest = SENTENCE_END.split(paragraphs[0])
    while rest and ABBREVIATION.search(summary):
        summary = f"{summary} {rest.pop(0)}"
    return summary, "\n".join([" ".join(rest), *paragraphs[1:]] if rest else paragraphs[1:])


def _prose(lines: list[str]) -> Iterator[str]:
    """The lines that are prose, with empty lines between separate parts."""
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        following = lines[at + 1].strip() if at + 1 < len(lines) else ""
        heading = HEADING.match(line)
        start, kept = at, []
        if line and UNDERLINE.match(following) and not UNDERLINE.match(line):
            at = _section_end(lines, at + 2) if NO_PROSE.fullmatch(line.strip(" :*")) else at + 2
            kept = lines[:1] if start == 0 else []  # an underlined summary
        elif line.startswith(FENCE):
            at = _fence_end(lines, at)
        elif DOCTEST.match(line) or TABLE.match(line) or HEADED.match(line):
            at = _paragraph_end(lines, at)
        elif NOTE.match(line) or ADMONITION.match(line):
            at = _block_end(lines, at)
            first = ADMONITION.match(line)
            inner = textwrap.dedent("\n".join(lines[start + 1 : at])).split("\n")
            kept = list(_prose([first[1].strip() if first else "", *inner]))
        elif heading and NO_PROSE.fullmatch(heading[1]):
            at = _list_end(lines, _block_end(lines, at), _indent(lines[at]))
        elif DIRECTIVE.match(line) or FIELD.match(line):
            at = _block_end(lines, at)
        elif line.endswith("::"):
            at = _block_end(lines, at)
            kept = [lines[start]]
        else:
            at += 1
            if not UNDERLINE.match(line):
                yield lines[start]
            continue
        yield from [*kept, ""]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block_end(lines: list[str], at: int) -> int:
    """The end of the block indented below this line."""
    edge = _indent(lines[at])
    return next((i for i in range(at + 1, len(lines)) if lines[i].strip() and _indent(lines[i]) <= edge), len(lines))


def _list_end(lines: list[str], at: int, edge: int) -> int:
    """The end of a list that begins here, indented like the heading above it."""
    while at < len(lines) and ITEM.match(lines[at].strip()) and _indent(lines[at]) == edge:
        at = _block_end(lines, at)
    return at


def _paragraph_end(lines: list[str], at: int) -> int:
    return next((i for i in range(at + 1, len(lines)) if not lines[i].strip()), len(lines))


def _fence_end(lines: list[str], at: int) -> int:
    return next((i + 1 for i in range(at + 1, len(lines)) if lines[i].strip().startswith(FENCE)), len(lines))


def _section_end(lines: list[str], at: int) -> int:
    """The line of the next underlined heading."""
    heads = (i for i in range(at, len(lines) - 1) if lines[i].strip() and UNDERLINE.match(lines[i + 1].strip()))
    return next(heads, len(lines))


@dataclass
class _Paragraph:
    indent: int
    item: bool
    text: str


def _paragraphs(lines: Iterator[str]) -> Iterator[_Paragraph]:
    """Paragraphs, with their lines joined."""
    current: _Paragraph | None = None
    for line in lines:
        text, indent = line.strip(), _indent(line)
        item = bool(ITEM.match(text))
        continues = current is not None and not item and (current.item or indent == current.indent)
        if text and current is not None and continues:
            current.text += f" {text}"
            continue
        if current is not None:
            yield current
        current = _Paragraph(indent, item, text) if text else None
    if current is not None:
        yield current


def _texts(paragraphs: list[_Paragraph]) -> list[str]:
    """The paragraphs without markup, without those that are not sentences, and without sentences that introduce removed
    parts."""
    texts: list[str] = []
    follower: _Paragraph | None = None
    for paragraph in reversed(paragraphs):
        text = paragraph.text
        leads = follower is not None and (follower.item or follower.indent > paragraph.indent)
        if text.endswith(":") and (text.endswith("::") or not leads):
            text = " ".join(SENTENCE_END.split(text)[:-1])
        for markup, plain in MARKUP:
            text = markup.sub(plain, text)
        if text and (paragraph is paragraphs[0] or _reads(text, item=paragraph.item)):
            texts.append(text.strip())
            follower = paragraph
    return texts[::-1]


def _reads(text: str, *, item: bool) -> bool:
    """Whether a paragraph or list item is natural language, judged by its characters."""
    enough = item or len(WORD.findall(text)) >= LEAST_WORDS
    return enough and not CODE.match(text) and letters(text) >= LEAST_LETTERS


def letters(text: str) -> float:
    """The share of letters among the characters that are not white space."""
    marks = "".join(text.split())
    return sum(character.isalpha() for character in marks) / max(1, len(marks))
