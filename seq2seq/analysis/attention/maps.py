"""The attention weights of a run: heat maps, an HTML page, word alignments, entropies, error rates."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.analysis.attention.alignment import described
from seq2seq.analysis.attention.alignment_error import AlignmentError, Gold, alignment_error, read_gold
from seq2seq.analysis.attention.alignment_words import Segmented, segment, segment_written
from seq2seq.analysis.attention.files import PAGE, Origin, clear, draw, table, write_numbers, write_texts
from seq2seq.analysis.attention.page import page
from seq2seq.analysis.attention.views import Seen, look
from seq2seq.analysis.evaluation.result_names import file_name
from seq2seq.checkpoint.read import label
from seq2seq.checkpoint.storage import replace_file
from seq2seq.config.schema import AttentionMapSettings, TrainSettings
from seq2seq.data.links import WordLinks, read_links
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import ConfigError, DataError, memory_errors
from seq2seq.inference.forced_attention import force
from seq2seq.inference.line_input import read_texts
from seq2seq.inference.trained_model import TrainedModel, as_read, load_trained
from seq2seq.reporting.progress import counting
from seq2seq.search.decode import decode
from seq2seq.streams import visible
from seq2seq.types import Capability

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Given:
    """What was given as files: None for texts that come from the run's data, or from its search."""

    sources: list[str] | None = None
    targets: list[str] | None = None
    gold: list[Gold] | None = None
    reverse: WordLinks | None = None


def show_attention(script: AttentionMapSettings, settings: TrainSettings) -> None:
    """Find targets or use the given ones, and compute their weights; the table goes to stdout, the rest into the
    folder."""
    _check(script, settings)
    given = _read(script, settings)
    trained = load_trained(script.run, settings, script.checkpoint)
    sources = _sources(script, settings, trained, given)
    targets = _targets(settings, trained, given, sources)
    seen = _look(script, settings, trained, sources, targets)
    if given.reverse is not None:
        seen = seen.with_reverse(given.reverse, script.alignment.symmetrization)
    error = None if given.gold is None else alignment_error([view.links for view in seen.views], given.gold)
    _write(script, settings, trained, seen, given.gold, error)


def _check(script: AttentionMapSettings, settings: TrainSettings) -> None:
    """Checks before anything is read."""
    for key, least in (("sentences", 1), ("pictures", 0), ("page", 0)):
        if getattr(script, key) < least:
            raise ConfigError(f"{key}={getattr(script, key)}: expected {least} or more")
    attention: Any = settings.attention.target
    if Capability.WEIGHTS not in attention.gives(**settings.attention.arguments):
        raise ConfigError(f"run {script.run} has attention={settings.attention.name}: it has no weights to show")
    if script.target is not None and script.input is None:
        raise ConfigError(f"target={script.target}: give the sources it belongs to, line for line, with input=FILE")
    for key, path in (("gold", script.gold), ("reverse", script.reverse)):
        if path is not None and script.target is None:
            raise ConfigError(f"{key}={path}: its links belong to given targets; give them with target=FILE")
    if script.gold is not None and settings.data.arguments.get("source_prefix"):
        raise ConfigError(
            f"gold={script.gold}: gold links do not count the words of data.source_prefix, which the run adds"
        )
    files = (script.input, script.target, script.gold, script.reverse)
    given = [Path(path).resolve().parent for path in files if path is not None]
    if script.output is not None and Path(script.output).resolve() in given:
        raise ConfigError(
            f"output={script.output} contains the input texts, which might be overwritten: choose another folder"
        )


def _read(script: AttentionMapSettings, settings: TrainSettings) -> Given:
    """The files, line for line; of tables the run's columns. Raises DataError."""
    if script.input is None:
        return Given()
    sources = read_texts(script.input, settings, "source")
    if not sources:
        raise DataError(f"{script.input} is empty; give a file with one sentence per line")
    if script.target is None:
        return Given(sources)
    targets = read_texts(script.target, settings, "target")
    if len(targets) != len(sources):
        raise DataError(f"{script.input} has {len(sources):,} lines but {script.target} has {len(targets):,}")
    lengths = [(len(source.split()), len(target.split())) for source, target in zip(sources, targets, strict=True)]
    gold = None if script.gold is None else read_gold(Path(script.gold), lengths)
    if script.reverse is None:
        return Given(sources, targets, gold)
    reverse = read_links(Path(script.reverse), len(sources), key="reverse")
    reverse.check(((right, left) for left, right in lengths), f"reverse={script.reverse}")
    return Given(sources, targets, gold, reverse)


def _sources(
    script: AttentionMapSettings, settings: TrainSettings, trained: TrainedModel, given: Given
) -> list[Segmented]:
    texts = given.sources
    if texts is None:
        corpus = prepare_split(
            data=settings.data(),
            split=script.split,
            tokenizer=trained.tokenizer,
            length=settings.length,
            cache=Path(settings.cache_dir),
        )
        texts = [corpus.pairs[number].source for number in range(min(script.sentences, len(corpus)))]
    found = segment(trained.tokenizer.source, as_read(settings, texts), settings.length.max_source)
    _warn_of_cuts(found, "length.max_source", settings.length.max_source)
    return found


def _targets(
    settings: TrainSettings, trained: TrainedModel, given: Given, sources: Sequence[Segmented]
) -> list[Segmented]:
    """The given targets, or the best hypotheses."""
    if given.targets is not None:
        found = segment(trained.tokenizer.target, given.targets, settings.length.max_target)
        _warn_of_cuts(found, "length.max_target", settings.length.max_target)
        return found
    with (
        counting("decoding", len(sources), "sentences") as count,
        memory_errors("decoding"),
        trained.runtime.autocast(),
    ):
        hypotheses = decode(
            trained.search_model,
            settings.search().reading(trained.tokenizer.target),
            [source.ids for source in sources],
            device=trained.runtime.device,
            tokens_per_batch=settings.trainer.batch_tokens,
            on_batch=count,
        )
    return segment_written(trained.tokenizer.target, [found[0].tokens for found in hypotheses])


def _warn_of_cuts(found: Sequence[Segmented], key: str, longest: int) -> None:
    """Words after the cut have no pieces."""
    cut = sum(len(each.ids) == longest and not all(each.pieces) for each in found)
    if cut:
        log.warning("%s lines were longer than %s=%s tokens and were cut", f"{cut:,}", key, longest)


def _look(
    script: AttentionMapSettings,
    settings: TrainSettings,
    trained: TrainedModel,
    sources: Sequence[Segmented],
    targets: Sequence[Segmented],
) -> Seen:
    with counting("looking", len(sources), "sentences") as count, memory_errors("looking"):
        ids = [source.ids for source in sources], [target.ids for target in targets]
        size, start = settings.trainer.batch_tokens, trained.target_start
        found = force(trained.model, *ids, trained.runtime, size, count, start)
        seen = look(found, sources, targets, script.alignment, kept=max(script.pictures, script.page))
    if seen.pooled:
        reason = "the run's pooling shortens the memory, so its states are not words"
        if script.gold is not None:
            raise ConfigError(f"gold={script.gold}: there are no alignments, because {reason}")
        log.warning("no alignments: %s", reason)
    return seen


def _write(
    script: AttentionMapSettings,
    settings: TrainSettings,
    trained: TrainedModel,
    seen: Seen,
    gold: Sequence[Gold] | None,
    error: AlignmentError | None,
) -> None:
    folder = Path(script.output) if script.output else trained.folder.path / "attention" / result_name(script)
    origin = Origin(
        run=str(trained.folder.path),
        checkpoint=label(script.checkpoint, trained.step),
        source=script.input or script.split,
        target=script.target or f"search={settings.search.name}",
        search=None if script.target else settings.plain["search"],
        alignment=None if seen.pooled else described(script.alignment, seen.heads, script.reverse),
    )
    clear(folder)
    with counting("drawing", min(script.pictures, len(seen.views)), "sentences") as count:
        for number, view in enumerate(seen.views[: script.pictures]):
            draw(folder, number, view, trained.tokenizer, script.alignment)
            count(1)
    shown = page(
        seen, script.page, trained.tokenizer, script.alignment, gold, title=origin.title, facts=origin.facts(seen)
    )
    replace_file(folder / PAGE, shown)
    write_texts(folder, seen)
    write_numbers(folder, seen, error, origin)
    print(visible(table(seen, error, origin)))
    log.info("wrote %s", folder / PAGE)


def result_name(script: AttentionMapSettings) -> str:
    """The input's or split's name, and what differs from the run: given targets, checkpoint, changed keys."""
    parts = [Path(script.input).name if script.input else script.split]
    parts += ["forced"] if script.target else []
    parts += [script.checkpoint] if script.checkpoint != "best" else []
    return file_name(parts, script.changed)
