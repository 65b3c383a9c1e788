"""Translate text: an answer for every line, whatever the line holds."""

import json
import logging
import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any

from seq2seq.analysis.trained import Trained, load_trained
from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.data.text import read_lenient
from seq2seq.errors import DataError
from seq2seq.search.base import Search
from seq2seq.search.decode import decode

log = logging.getLogger(__name__)

CHUNK = 1024  # lines read, sorted by length and answered together


def translate(script: TranslateSettings, settings: TrainSettings) -> None:
    """From `input` (or stdin) to `output` (or stdout), a line for a line; jsonl in gives jsonl out."""
    trained = load_trained(script.run, settings, script.checkpoint)
    search = settings.search()
    as_json = script.input is not None and script.input.endswith(".jsonl")
    column = str(settings.data.arguments.get("source_column", "source"))
    damaged: list[int] = []  # broken places, for each line that has any
    with ExitStack() as stack:
        source = stack.enter_context(_open_input(script.input)) if script.input else sys.stdin.buffer
        target = stack.enter_context(_open_output(script.output)) if script.output else sys.stdout.buffer
        lines = read_lenient(source, damaged.append)
        number = 0
        while chunk := list(islice(lines, 1 if _is_interactive(source) else CHUNK)):
            records = (
                [_record(line, number + i, column, script.input) for i, line in enumerate(chunk, 1)] if as_json else []
            )
            texts = [record[column] for record in records] if as_json else chunk
            answers = answer(trained, search, settings.length.max_source, texts)
            if as_json:
                written = (
                    json.dumps({**r, "output": a}, ensure_ascii=False) for r, a in zip(records, answers, strict=True)
                )
            else:
                written = (" ".join(text.split("\n")) for text in answers)
            target.write("".join(line + "\n" for line in written).encode())
            target.flush()
            number += len(chunk)
    if damaged:
        log.warning("%s lines were not valid UTF-8: their broken bytes were read as U+FFFD", f"{len(damaged):,}")


def answer(trained: Trained, search: Search, max_source: int, texts: list[str]) -> list[str]:
    """The best hypothesis for each text; sources longer than `max_source` tokens are cut and counted."""
    sources = trained.tokenizer.source.encode(texts)
    cut = sum(len(source) > max_source for source in sources)
    if cut:
        log.warning("%s lines were longer than length.max_source=%s tokens and were cut", f"{cut:,}", max_source)
    with trained.runtime.autocast():
        found = decode(trained.model, search, [s[:max_source] for s in sources], device=trained.runtime.device)
    return trained.tokenizer.target.decode([hypotheses[0].tokens for hypotheses in found])


def _record(line: str, number: int, column: str, path: str | None) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get(column), str):
        there = ", ".join(record) if isinstance(record, dict) else "no columns"
        raise DataError(f"{path}, line {number}: no text under {column!r}; there are: {there}")
    return record


def _is_interactive(stream: IO[bytes]) -> bool:
    """Somebody who types a line waits for its answer."""
    return stream.isatty()


def _open_input(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise DataError(f"input={path}: {error.strerror}") from error


def _open_output(path: str) -> IO[bytes]:
    try:
        return Path(path).open("wb")
    except OSError as error:
        raise DataError(f"output={path}: {error.strerror}") from error
