"""Forced decoding of given pairs: their log-probabilities."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.config.schema import ScoreSettings, TrainSettings
from seq2seq.data.rows import Row
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError, DataError, memory_errors
from seq2seq.inference.line_input import is_table, read_table, read_texts, texts_of, with_keys
from seq2seq.inference.line_output import check_output, line_writer
from seq2seq.inference.trained_model import TrainedModel, as_read, load_trained
from seq2seq.reporting.progress import counting
from seq2seq.search.forced import forced_log_probs

log = logging.getLogger(__name__)

CHUNK = 4096  # pairs sorted by length and scored together
LONGEST = 100_000  # tokens of a text: the memory that scoring takes grows with them


@dataclass(frozen=True)
class Texts:
    """Pairs to score; `rows` are the rows of their table, None if they are not from a table."""

    sources: list[str]
    targets: list[str]
    rows: list[Row] | None = None


@dataclass(frozen=True)
class Score:
    """For one target: log p of its tokens and end in nats, and their number, the end symbol counted."""

    log_prob: float
    tokens: int

    def plain(self) -> dict[str, float | int]:
        """As in JSON."""
        return {"log_prob": round(self.log_prob, 4), "tokens": self.tokens}


def score(script: ScoreSettings, settings: TrainSettings) -> None:
    """One line per pair to `output` (or stdout): log p and the number of tokens, separated by a tab, or a table's row
    with both added."""
    _check(script)
    texts = _read(script, settings)
    trained = load_trained(script.run, settings, script.checkpoint)
    scores: list[Score] = []
    with line_writer(script.output) as write, counting("scoring", len(texts.sources), "pairs") as count:
        for start in range(0, len(texts.sources), CHUNK):
            part = slice(start, start + CHUNK)
            found = score_texts(trained, settings, texts.sources[part], texts.targets[part])
            scores += found
            count(len(found))
            if texts.rows is None:
                write([f"{one.log_prob:.4f}\t{one.tokens}" for one in found])
            else:
                rows = zip(texts.rows[part], found, strict=True)
                write([with_keys(row, one.plain(), "give that column another name") for row, one in rows])
    log.info("%s", summary(scores))


def score_texts(
    trained: TrainedModel, settings: TrainSettings, sources: Sequence[str], targets: Sequence[str]
) -> list[Score]:
    """The score of each pair, that of a target after `data.target_prefix`: texts longer than in training are counted,
    but not cut. Raises DataError for one of more than LONGEST tokens."""
    read = as_read(settings, sources)
    ids = trained.tokenizer.source.encode(read), trained.tokenizer.target.encode(targets)
    for side, rows in zip(("source", "target"), ids, strict=True):
        longest = getattr(settings.length, f"max_{side}")
        if (most := max(map(len, rows), default=0)) > LONGEST:
            raise DataError(f"a {side} has {most:,} tokens, and at most {LONGEST:,} can be scored: leave that pair out")
        before = len(trained.target_start) if side == "target" else 0
        if long := sum(before + len(row) > longest for row in rows):
            log.warning("longer than length.max_%s=%s tokens, scored in full: %s %ss", side, longest, f"{long:,}", side)
    with trained.runtime.autocast(), memory_errors("scoring"):
        log_probs = forced_log_probs(
            trained.model,
            *ids,
            device=trained.runtime.device,
            tokens_per_batch=settings.trainer.batch_tokens,
            target_start=trained.target_start,
        )
    return [Score(log_prob, len(row) + 1) for log_prob, row in zip(log_probs, ids[1], strict=True)]


def summary(scores: Sequence[Score]) -> str:
    """A summary line: '3 pairs, 12 tokens with the end symbols, log p -9.3133, perplexity 2.1731 a token'."""
    total, tokens = math.fsum(one.log_prob for one in scores), sum(one.tokens for one in scores)
    head = f"{len(scores):,} pairs, {tokens:,} tokens with the end symbols"
    return f"{head}, log p {total:.4f}, perplexity {math.exp(-total / tokens):.4f} a token" if tokens else head


def _check(script: ScoreSettings) -> None:
    """Checks before anything is read."""
    within = is_table(script.source)
    if script.target is not None and (script.source is None or within):
        advice = "give the sources it belongs to with source=FILE" if script.source is None else "leave it out"
        why = "" if script.source is None else f"{script.source} contains the targets as well as the sources: "
        raise ConfigError(f"target={script.target}: {why}{advice}")
    if script.source is not None and script.target is None and not within:
        raise ConfigError(f"source={script.source}: give its targets too, line for line, with target=FILE")
    check_output(script.output, {"source": script.source, "target": script.target})


def _read(script: ScoreSettings, settings: TrainSettings) -> Texts:
    """The pairs. Raises DataError."""
    if script.source is None:
        data: TextData = settings.data()
        data.check_split(script.split)
        pairs = list(data.read(script.split))
        return Texts([pair.source for pair in pairs], [pair.target for pair in pairs])
    if script.target is None:
        rows = list(read_table(script.source, settings))
        sources, targets = (list(texts_of(rows, settings, side)) for side in ("source", "target"))
        return Texts(sources, targets, rows)
    sources, targets = (
        read_texts(path, settings, side) for path, side in ((script.source, "source"), (script.target, "target"))
    )
    if len(sources) != len(targets):
        raise DataError(f"{script.source} has {len(sources):,} lines but {script.target} has {len(targets):,}")
    return Texts(sources, targets)
