"""Translate text: an answer for every line, whatever the line holds."""

import io
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.data.rows import Row
from seq2seq.data.text import read_lines, stream_lines
from seq2seq.errors import ConfigError, DataError, memory_errors
from seq2seq.inference.line_input import is_table, read_table, texts_of, with_keys
from seq2seq.inference.line_output import check_output, line_writer
from seq2seq.inference.shortlists import check_shortlist, open_shortlists
from seq2seq.inference.trained_model import TrainedModel, as_read, load_trained
from seq2seq.search.base import Search
from seq2seq.search.decode import decode
from seq2seq.search.limits import count_limits, limits_reached, outputs_line
from seq2seq.search.shortlists import Shortlists

log = logging.getLogger(__name__)

CHUNK = 1024  # lines read, sorted by length and answered together


def translate(script: TranslateSettings, settings: TrainSettings) -> None:
    """From `input` (or stdin) to `output` (or stdout), a line for a line; a table in gives jsonl out."""
    search: Search = settings.search()
    _check(script, settings, search)
    check_shortlist(settings, script.shortlist)
    trained = load_trained(script.run, settings, script.checkpoint, script.ensemble)
    search = search.reading(trained.tokenizer.target)
    shortlists = open_shortlists(trained, settings, script.shortlist)
    form = _form(script, settings)
    prefixes = None if script.prefix is None else Prefixes(script.prefix)
    damaged: list[int] = []  # broken places, for each line that has any
    reached: list[str | None] = []  # the limit that each answer came to
    answered = 0
    with ExitStack() as stack:
        given = form.open(damaged.append)
        write = stack.enter_context(line_writer(script.output))
        at_once = 1 if script.input is None and sys.stdin.buffer.isatty() else CHUNK  # who types waits for an answer
        while chunk := list(islice(given, at_once)):
            texts = form.read(chunk)
            begun = None if prefixes is None else prefixes.take(len(chunk))
            answers = answer(trained, settings, search, texts, begun, script.n_best, shortlists, answered)
            reached += [found[0].limit for found in answers]
            write(form.write(answers))
            answered += len(texts)
    if prefixes is not None:
        prefixes.end()
    if damaged:
        log.warning("%s lines were not valid UTF-8: invalid bytes were replaced by U+FFFD", f"{len(damaged):,}")
    if line := outputs_line(search, count_limits(reached), answered):
        log.warning("%s", line)


@dataclass(frozen=True)
class Answer:
    """A hypothesis as text, with the score it is ranked by and log p of its tokens and end, in nats; `limit` is the key
    of the length limit that it came to."""

    score: float
    log_prob: float
    text: str
    limit: str | None = None

    def plain(self) -> dict[str, float | str]:
        """As in JSON."""
        return {"score": round(self.score, 4), "log_prob": round(self.log_prob, 4), "text": self.text}


class PlainLines:
    """A document a line, an answer a line.

    With `n_best` above 1, as many lines as there are answers, best first: the document's number, from 1, score,
    log-probability and text, with tabs between.
    """

    def __init__(self, path: str | None, n_best: int) -> None:
        self.path = path
        self.n_best = n_best
        self.written_before = 0

    def open(self, count_damage: Callable[[int], None]) -> Iterator[str]:
        """The lines, of stdin where there is no path."""
        if self.path is None:
            return stream_lines(cast(io.BufferedIOBase, sys.stdin.buffer), "stdin", count_damage)
        return read_lines(Path(self.path), count_damage)

    def read(self, lines: list[str]) -> list[str]:
        """The texts themselves."""
        return lines

    def write(self, answers: Sequence[Sequence[Answer]]) -> list[str]:
        """Line breaks inside an answer become spaces."""
        first = self.written_before + 1
        self.written_before += len(answers)
        if self.n_best == 1:
            return [_one_line(found[0].text) for found in answers]
        return [
            f"{number}\t{one.score:.4f}\t{one.log_prob:.4f}\t{_one_line(one.text)}"
            for number, found in enumerate(answers, first)
            for one in found
        ]


class Rows:
    """The rows of a table: the text of each in the run's source column is answered, and the row written as a JSON
    object with its answer under `column`.

    With `n_best` above 1 all its answers are added as well, under `column` and an s: objects of score, log_prob and
    text, best first.
    """

    def __init__(self, path: str, settings: TrainSettings, column: str, n_best: int) -> None:
        self.path = path
        self.settings = settings
        self.column = column
        self.n_best = n_best
        self.rows: Sequence[Row] = []

    def open(self, count_damage: Callable[[int], None]) -> Iterator[Row]:
        """The rows."""
        return read_table(self.path, self.settings, count_damage)

    def read(self, rows: Sequence[Row]) -> list[str]:
        """The texts to answer. Raises DataError naming file and line."""
        self.rows = rows
        return list(texts_of(rows, self.settings, "source"))

    def write(self, answers: Sequence[Sequence[Answer]]) -> list[str]:
        """The rows read last, each with its answers. Raises DataError where it has such a column already."""
        advice = "choose another key for the outputs: answer_column=NAME"
        return [with_keys(row, self._keys(found), advice) for row, found in zip(self.rows, answers, strict=True)]

    def _keys(self, found: Sequence[Answer]) -> dict[str, Any]:
        best = {self.column: found[0].text}
        return best if self.n_best == 1 else {**best, f"{self.column}s": [one.plain() for one in found]}


class Prefixes:
    """What the answers begin with: a line for each line of the input, an empty one where an answer is free.

    Spaces at a line's end are cut off: in a segmentation the space belongs to the word that follows.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: Iterator[str] = read_lines(Path(path))
        self.taken = 0

    def take(self, count: int) -> list[str]:
        """The next ones. Raises DataError where there are not as many."""
        found = [line.rstrip() for line in islice(self.lines, count)]
        self.taken += len(found)
        if len(found) < count:
            raise DataError(
                f"prefix={self.path} has {self.taken:,} lines, the input more: give one line for each, empty or not"
            )
        return found

    def end(self) -> None:
        """Raises DataError where there are more."""
        if next(self.lines, None) is not None:
            raise DataError(f"prefix={self.path} has more lines than the input, which has {self.taken:,}")


def answer(
    trained: TrainedModel,
    settings: TrainSettings,
    search: Search,
    texts: Sequence[str],
    prefixes: Sequence[str] | None = None,
    n_best: int = 1,
    shortlists: Shortlists | None = None,
    before: int = 0,
) -> list[list[Answer]]:
    """The `n_best` hypotheses for each text, best first, where the search finds as many; `before` texts came earlier.

    They begin with its prefix, segmented by itself. Sources longer than `length.max_source` tokens are cut and counted.
    """
    longest = settings.length.max_source
    sources = trained.tokenizer.source.encode(as_read(settings, texts))
    cut = sum(len(source) > longest for source in sources)
    if cut:
        log.warning("%s lines were longer than length.max_source=%s tokens and were cut", f"{cut:,}", longest)
    sources = [source[:longest] for source in sources]
    begun = None if prefixes is None else trained.tokenizer.target.encode(prefixes)
    with trained.runtime.autocast(), memory_errors("decoding"):
        found = decode(
            trained.answering,
            search,
            sources,
            numbers=range(before, before + len(texts)),
            prefixes=begun,
            shortlists=shortlists,
            device=trained.runtime.device,
            tokens_per_batch=settings.trainer.tokens_per_batch,
        )
    lengths = [*map(len, sources)], None if begun is None else [*map(len, begun)]
    limits = limits_reached(search, [hypotheses[0] for hypotheses in found], *lengths)
    best = [hypotheses[:n_best] for hypotheses in found]
    written = iter(trained.tokenizer.target.decode([one.tokens for hypotheses in best for one in hypotheses]))
    return [
        [Answer(one.score, one.log_prob, next(written), limit) for one in hypotheses]
        for hypotheses, limit in zip(best, limits, strict=True)
    ]


def _check(script: TranslateSettings, settings: TrainSettings, search: Search) -> None:
    """What can be refused before anything is read."""
    if script.n_best > search.most:
        key = next((key for key in ("beam_size", "samples") if key in settings.search.arguments), None)
        advice = f"raise search.{key}" if key else "take search=beam"
        found = f"search={settings.search.name} finds at most {search.most} per line"
        raise ConfigError(f"n_best={script.n_best}: {found}; {advice}")
    if is_table(script.prefix):
        raise ConfigError(f"prefix={script.prefix}: give plain text, line for line with the input, not a table")
    check_output(script.output, {"input": script.input, "prefix": script.prefix})


def _form(script: TranslateSettings, settings: TrainSettings) -> Any:
    if script.input is not None and is_table(script.input):
        return Rows(script.input, settings, script.answer_column, script.n_best)
    return PlainLines(script.input, script.n_best)


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
