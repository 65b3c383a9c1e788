"""Translation of text files and tables: one output per line or row."""

import io
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, cast

from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.data.rows import Row
from seq2seq.data.text import read_lines, stream_lines
from seq2seq.errors import ConfigError, DataError
from seq2seq.inference.line_input import is_table, read_table, texts_of, with_keys
from seq2seq.inference.line_output import check_output, line_writer, one_line
from seq2seq.inference.translator import CHUNK, Candidate, Translation, Translator, check_n_best
from seq2seq.search.limits import count_limits, outputs_line

log = logging.getLogger(__name__)


def translate(script: TranslateSettings, settings: TrainSettings) -> None:
    """Translate the lines of `input` (or stdin) to `output` (or stdout); a table is written as JSON lines."""
    _check(script, settings)
    translator = Translator.of(script, settings)
    reader = _input_format(script, settings)
    prefixes = None if script.prefix is None else Prefixes(script.prefix)
    damaged: list[int] = []  # the number of invalid bytes in each line that has some
    reached: list[str | None] = []  # for each input, the limit at which its best output ended
    answered = 0
    with ExitStack() as stack:
        lines = reader.open(damaged.append)
        write = stack.enter_context(line_writer(script.output))
        interactive = script.input is None and sys.stdin.buffer.isatty()  # one line at a time
        chunk_size = 1 if interactive else CHUNK
        while chunk := list(islice(lines, chunk_size)):
            texts = reader.read(chunk)
            beginnings = None if prefixes is None else prefixes.take(len(chunk))
            found = translator.translate(texts, script.n_best, beginnings, first=answered, scores=script.n_best > 1)
            reached += [one.limit for one in found]
            write(reader.write(found))
            answered += len(texts)
    if prefixes is not None:
        prefixes.end()
    if damaged:
        log.warning("%s lines were not valid UTF-8: invalid bytes were replaced by U+FFFD", f"{len(damaged):,}")
    if line := outputs_line(translator.search, count_limits(reached), answered):
        log.warning("%s", line)


class PlainLines:
    """Text with one input per line; writes one output per line.

    With `n_best` above 1, an input has several lines of output, best first: the input's number (from 1), score,
    log-probability and text, separated by tabs.
    """

    def __init__(self, path: str | None, n_best: int) -> None:
        self.path = path
        self.n_best = n_best
        self.written_before = 0

    def open(self, count_damage: Callable[[int], None]) -> Iterator[str]:
        """The lines of the file, or of stdin if there is no path."""
        if self.path is None:
            return stream_lines(cast(io.BufferedIOBase, sys.stdin.buffer), "stdin", count_damage)
        return read_lines(Path(self.path), count_damage)

    def read(self, lines: list[str]) -> list[str]:
        """The input texts: the lines themselves."""
        return lines

    def write(self, translations: Sequence[Translation]) -> list[str]:
        """The lines to write. Line breaks inside an output become spaces."""
        first = self.written_before + 1
        self.written_before += len(translations)
        if self.n_best == 1:
            return [one_line(found.text) for found in translations]
        return [
            f"{number}\t{one.score:.4f}\t{one.log_prob:.4f}\t{one_line(one.text)}"
            for number, found in enumerate(translations, first)
            for one in found.candidates
        ]


class Rows:
    """A table: the run's source column is the input. Each row is written as a JSON object, with the best output under
    the key `column`.

    With `n_best` above 1 all outputs are also written, under `column` + "s": a list of objects with score, log_prob and
    text, best first.
    """

    def __init__(self, path: str, settings: TrainSettings, column: str, n_best: int) -> None:
        self.path = path
        self.settings = settings
        self.column = column
        self.n_best = n_best
        self.rows: Sequence[Row] = []

    def open(self, count_damage: Callable[[int], None]) -> Iterator[Row]:
        """The rows of the table."""
        return read_table(self.path, self.settings, count_damage)

    def read(self, rows: Sequence[Row]) -> list[str]:
        """The input texts. Raises DataError, which names the file and line."""
        self.rows = rows
        return list(texts_of(rows, self.settings, "source"))

    def write(self, translations: Sequence[Translation]) -> list[str]:
        """The rows of the last `read`, each with its outputs. Raises DataError if the column already exists."""
        advice = "choose another key for the outputs: answer_column=NAME"
        pairs = zip(self.rows, translations, strict=True)
        return [with_keys(row, self._columns(found), advice) for row, found in pairs]

    def _columns(self, found: Translation) -> dict[str, Any]:
        best = {self.column: found.text}
        return best if self.n_best == 1 else {**best, f"{self.column}s": [_plain(one) for one in found.candidates]}


class Prefixes:
    """The beginnings of the outputs: one line for each line of the input, empty for no given beginning.

    Spaces at the end of a line are removed: in a segmentation the space belongs to the next word.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: Iterator[str] = read_lines(Path(path))
        self.taken = 0

    def take(self, count: int) -> list[str]:
        """The next `count` prefixes. Raises DataError if there are not enough."""
        found = [line.rstrip() for line in islice(self.lines, count)]
        self.taken += len(found)
        if len(found) < count:
            raise DataError(
                f"prefix={self.path} has {self.taken:,} lines, the input more: give one line for each, empty or not"
            )
        return found

    def end(self) -> None:
        """Called at the end of the input. Raises DataError if there are more prefixes."""
        if next(self.lines, None) is not None:
            raise DataError(f"prefix={self.path} has more lines than the input, which has {self.taken:,}")


def _check(script: TranslateSettings, settings: TrainSettings) -> None:
    """Raise ConfigError for options that cannot work, before any file is read."""
    check_n_best(script.n_best, settings, settings.search())
    if is_table(script.prefix):
        raise ConfigError(f"prefix={script.prefix}: give plain text, line for line with the input, not a table")
    check_output(script.output, {"input": script.input, "prefix": script.prefix})


def _input_format(script: TranslateSettings, settings: TrainSettings) -> Any:
    if script.input is not None and is_table(script.input):
        return Rows(script.input, settings, script.answer_column, script.n_best)
    return PlainLines(script.input, script.n_best)


def _plain(one: Candidate) -> dict[str, float | str]:
    """As a JSON object."""
    return {"score": round(one.score, 4), "log_prob": round(one.log_prob, 4), "text": one.text}
