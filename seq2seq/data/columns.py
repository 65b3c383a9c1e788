"""Which columns of a table are source, target and references, and how its rows become pairs."""

import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seq2seq.data.rows import Row
from seq2seq.data.text import suggestion
from seq2seq.errors import DataError
from seq2seq.types import Pair


@dataclass(frozen=True)
class ColumnsOf:
    """A split's columns if they differ from the others'; None: the same."""

    source: str | None = None
    target: str | None = None
    references: list[str] | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of one split. 'a.b' is field b of column a; a reference column may contain a list of texts.

    Source and target may be templates of several columns instead: 'question: {question} context: {context}'.
    """

    source: str
    target: str
    references: tuple[str, ...]

    def but(self, other: ColumnsOf | None) -> "Columns":
        """These columns, overridden by a split's own."""
        if other is None:
            return self
        references = self.references if other.references is None else tuple(other.references)
        return Columns(other.source or self.source, other.target or self.target, references)

    def pairs(self, rows: Iterable[Row]) -> Iterator[Pair]:
        """The pairs of rows. Raises DataError if a text is missing, naming every missing column."""
        for row in rows:
            try:
                references = [text for column in self.references for text in _texts(row, column)]
                yield Pair(text_of(row, self.source), text_of(row, self.target), tuple(references))
            except DataError as error:
                missing = [_no_column(row, column) for column in self.names() if not _has(row, column)]
                raise DataError("\n".join(missing) + row.hint) if len(missing) > 1 else error from None

    def names(self) -> list[str]:
        """Every column that is read, those in templates included."""
        sides = [_named_in(text) if is_template(text) else [text] for text in (self.source, self.target)]
        return list(dict.fromkeys([*sides[0], *sides[1], *self.references]))

    def problems(self, key: str) -> list[str]:
        """What is wrong with the templates, each under its key: 'data.source: ...'."""
        sides = {"source": self.source, "target": self.target}
        found = {side: template_problem(text) for side, text in sides.items() if is_template(text)}
        return [f"{key}.{side}: {problem}" for side, problem in found.items() if problem]


def split_columns(
    usual: Columns, own: Mapping[str, ColumnsOf], splits: Iterable[str], problems: list[str]
) -> dict[str, Columns]:
    """Each split's columns; entries of `own` for unknown splits are added to `problems`."""
    names = list(splits)
    problems += [f"data.columns_of.{name} is not a split{suggestion(name, names)}" for name in own if name not in names]
    problems += usual.problems("data")
    for name, columns in own.items():
        problems += Columns(columns.source or "", columns.target or "", ()).problems(f"data.columns_of.{name}")
    return {name: usual.but(own.get(name)) for name in names}


def text_of(row: Row, column: str) -> str:
    """The text under a column, 'a.b' for a field of one, or a template filled in. Raises DataError with the place."""
    if not is_template(column):
        return _checked(_value(row, column), column, row.place)
    filled = ""
    for literal, name, _, _ in string.Formatter().parse(column):
        try:
            filled += literal + ("" if name is None else _checked(_value(row, name), name, row.place))
        except DataError as error:
            raise DataError(f"{error}\n(it is used in the template '{column}')") from error
    return filled


def is_template(text: str) -> bool:
    """Whether this is a text with column names in braces, and not a column name."""
    return "{" in text or "}" in text


def template_problem(template: str) -> str | None:
    """What is wrong with a template; None if nothing."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"'{template}' is not a valid template: {error}; double a brace that is meant literally: {{{{ or }}}}"
    names = [name for _, name, _, _ in fields if name is not None]
    if not names or "" in names:
        return f"'{template}' must name a column in each pair of braces, like {{question}}"
    if any(form or conversion for _, _, form, conversion in fields):
        return f"'{template}': only column names may be in braces, nothing after ':' or '!'"
    return None


def _texts(row: Row, column: str) -> list[str]:
    """A reference column's texts: one, a list of them, or none."""
    value = _value(row, column)
    texts = value if isinstance(value, list) else [] if value is None else [value]
    return [_checked(text, column, row.place) for text in texts]


def _checked(value: Any, column: str, place: str) -> str:
    if value is None:
        raise DataError(f"{place}: column '{column}' has no value; give a text there or remove the row")
    if not isinstance(value, str):
        raise DataError(f"{place}: column '{column}' holds {value!r:.60}, which is not text; write it as a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{place}: column '{column}' contains an unpaired surrogate; correct the text") from error
    return value


def _value(row: Row, column: str) -> Any:
    value: Any = row.values
    for name in [column] if column in row.values else column.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise DataError(_no_column(row, column) + row.hint)
        value = value[name]
    return value


def _has(row: Row, column: str) -> bool:
    try:
        _value(row, column)
    except DataError:
        return False
    return True


def _no_column(row: Row, column: str) -> str:
    return f"{row.place}: there is no column '{column}'{suggestion(column, _field_names(row.values))}"


def _named_in(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def _field_names(row: Mapping[str, Any]) -> list[str]:
    """A row's columns, and 'a.b' for each field of a nested one."""
    names = []
    for name, value in row.items():
        names += [f"{name}.{inner}" for inner in _field_names(value)] if isinstance(value, Mapping) else [name]
    return names
