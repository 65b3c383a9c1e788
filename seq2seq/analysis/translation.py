"""Translate text: an answer for every line, whatever the line holds."""

import json
import logging
import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any

from seq2seq.analysis.trained import Trained, load_trained
from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.data.columns import text_of
from seq2seq.data.text import check_file, read_lenient
from seq2seq.errors import ConfigError, DataError
from seq2seq.search.decode import decode
from seq2seq.training.device import memory_errors

log = logging.getLogger(__name__)

CHUNK = 1024  # lines read, sorted by length and answered together


def translate(script: TranslateSettings, settings: TrainSettings) -> None:
    """From `input` (or stdin) to `output` (or stdout), a line for a line; jsonl in gives jsonl out."""
    _check_files(script)
    trained = load_trained(script.run, settings, script.checkpoint)
    column = settings.data.arguments.get("source")
    column = column if isinstance(column, str) else "source"
    form = JsonLines(script.input, column) if script.input and script.input.endswith(".jsonl") else PlainLines()
    damaged: list[int] = []  # broken places, for each line that has any
    with ExitStack() as stack:
        source = stack.enter_context(_open_input(script.input)) if script.input else sys.stdin.buffer
        target = stack.enter_context(_open_output(script.output)) if script.output else sys.stdout.buffer
        lines = read_lenient(source, damaged.append)
        while chunk := list(islice(lines, 1 if source.isatty() else CHUNK)):  # who types a line waits for its answer
            texts = form.read(chunk)
            written = form.write(answer(trained, settings, texts))
            with storage_errors(f"write {script.output or 'to stdout'}"):
                target.write("".join(line + "\n" for line in written).encode())
                target.flush()
    if damaged:
        log.warning("%s lines were not valid UTF-8: their broken bytes were read as U+FFFD", f"{len(damaged):,}")


class PlainLines:
    """A document a line, an answer a line."""

    def read(self, lines: list[str]) -> list[str]:
        """The texts themselves."""
        return lines

    def write(self, answers: list[str]) -> list[str]:
        """Line breaks inside an answer become spaces."""
        return [" ".join(answer.split("\n")) for answer in answers]


class JsonLines:
    """An object a line: its text under `column` is answered, and the object written with `output` added."""

    def __init__(self, path: str, column: str) -> None:
        self.path, self.column = path, column
        self.read_before = 0
        self.records: list[dict[str, Any]] = []

    def read(self, lines: list[str]) -> list[str]:
        """The texts to answer. Raises DataError naming file and line."""
        numbers = range(self.read_before + 1, self.read_before + 1 + len(lines))
        places = [f"{self.path}, line {number}" for number in numbers]
        self.read_before += len(lines)
        self.records = [_record(line, place) for line, place in zip(lines, places, strict=True)]
        return [text_of(record, self.column, place) for record, place in zip(self.records, places, strict=True)]

    def write(self, answers: list[str]) -> list[str]:
        """The objects read last, each with its answer."""
        both = zip(self.records, answers, strict=True)
        return [json.dumps({**record, "output": answer}, ensure_ascii=False) for record, answer in both]


def answer(trained: Trained, settings: TrainSettings, texts: list[str]) -> list[str]:
    """The best hypothesis for each text; sources longer than `length.max_source` tokens are cut and counted."""
    longest = settings.length.max_source
    sources = trained.tokenizer.source.encode(texts)
    cut = sum(len(source) > longest for source in sources)
    if cut:
        log.warning("%s lines were longer than length.max_source=%s tokens and were cut", f"{cut:,}", longest)
    with trained.runtime.autocast(), memory_errors("decoding"):
        found = decode(
            trained.model,
            settings.search(),
            [source[:longest] for source in sources],
            device=trained.runtime.device,
            tokens_per_batch=settings.trainer.tokens_per_batch,
        )
    return trained.tokenizer.target.decode([hypotheses[0].tokens for hypotheses in found])


def _record(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise DataError(f"{place}: an object was expected, got {line:.60}")
    return record


def _check_files(script: TranslateSettings) -> None:
    """Writing over the input would empty it before it is read."""
    if script.input is None or script.output is None:
        return
    source, target = Path(script.input), Path(script.output)
    if source.exists() and target.exists() and source.samefile(target):
        raise ConfigError(f"output={script.output} is the input itself: name another file")


def _open_input(path: str) -> IO[bytes]:
    check_file(Path(path))
    return Path(path).open("rb")


def _open_output(path: str) -> IO[bytes]:
    with storage_errors(f"write {path}"):
        return Path(path).open("wb")
