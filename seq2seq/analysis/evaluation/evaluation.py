"""Score a run on one of its splits: a table, eval/<split>.json and the hypotheses that were scored."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seq2seq.analysis.evaluation.baseline import baseline_texts
from seq2seq.analysis.evaluation.evaluate_result import EvaluateResult
from seq2seq.analysis.evaluation.result_names import file_name
from seq2seq.analysis.evaluation.results import CHANGED, SPLIT, TEXTS, digest_texts
from seq2seq.analysis.evaluation.score_table import score_table, statistics_table
from seq2seq.analysis.evaluation.systems import Scored, chosen_extracts, score_systems
from seq2seq.analysis.evaluation.text_statistics import Statistics, compare_texts
from seq2seq.checkpoint.read import label
from seq2seq.config.schema import EvaluateSettings, TrainSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import ConfigError, memory_errors
from seq2seq.inference.corpus_decoding import Decoding, corpus_references, corpus_sources, decode_corpus
from seq2seq.inference.engine import changed_engine, engine_name, load_for
from seq2seq.inference.output_checks import alike, empty_references
from seq2seq.inference.shortlists import check_shortlist, open_shortlists
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.metrics.base import Metric, References
from seq2seq.metrics.extracts import extract
from seq2seq.reporting.progress import counting
from seq2seq.search.base import Search
from seq2seq.search.limits import count_limits, limits_reached, outputs_line
from seq2seq.search.shortlists import Shortlists
from seq2seq.streams import visible

log = logging.getLogger(__name__)

LEAST_SAMPLES = 40  # a 95% interval needs as many
BASELINE = "baseline"  # the row of the run that the key `baseline` names


def evaluate_command(script: EvaluateSettings, settings: TrainSettings) -> None:
    """The table goes to stdout, the files into the run's eval folder."""
    found = score_run(script, settings, bar=True)
    keep_and_show(found.write, found.table)


def evaluate(script: EvaluateSettings, settings: TrainSettings) -> EvaluateResult:
    """The files go into the run's eval folder."""
    found = score_run(script, settings)
    log.info("wrote %s", found.write())
    return found


def score_run(script: EvaluateSettings, settings: TrainSettings, *, bar: bool = False) -> EvaluateResult:
    """Decode, score, compare with baselines; nothing is written. `bar`: a terminal shows the progress."""
    if 0 < script.bootstrap < LEAST_SAMPLES:
        raise ConfigError(f"bootstrap={script.bootstrap}: give at least {LEAST_SAMPLES} samples, or 0 for none")
    check_shortlist(settings, script.shortlist)
    trained = load_for(script, settings)
    trained.folder.refuse_links()
    corpus = prepare_split(
        data=settings.data(),
        split=script.split,
        tokenizer=trained.tokenizer,
        length=settings.length,
        cache=Path(settings.cache_dir),
    )
    log.info("%s", corpus.report)
    sources, references = corpus_sources(corpus), corpus_references(corpus)
    metrics = {name: part().for_sources(sources) for name, part in settings.metrics.items()}
    for metric in metrics.values():
        metric.check(references)
    made_with = _made_with(script, settings, trained) | {TEXTS: digest_texts(sources, references)}
    others: dict[str, Sequence[str]] = {
        name: extract(name, sources) for name in chosen_extracts(script.baselines, metrics)
    }
    if script.baseline is not None:
        others[BASELINE] = baseline_texts(script, settings, made_with[TEXTS])
    shortlists = open_shortlists(trained, settings, script.shortlist)
    decoding, seconds = _decode(trained, corpus, settings, shortlists, bar)
    run, scored = score_systems(decoding.texts, others, references, metrics, script.bootstrap)
    statistics = _statistics(decoding.texts, sources, corpus, metrics)
    ended = _note_outputs(decoding, corpus, settings.search(), references)
    made_with |= {"sentences": len(corpus), "seconds": round(seconds, 3), "ended_at_limit": ended}
    scores = {name: score.plain() for name, score in run.scores.items()}
    content = {**scores, **made_with, **_summaries_and_baselines(script, scored, statistics)}
    weights = label(script.checkpoint, trained.step)
    table = f"{trained.folder.path}, {script.split}, {weights}: {len(corpus):,} texts\n"
    table += score_table(run, scored)
    if statistics:
        table += "\n\n" + statistics_table(statistics)
    return EvaluateResult(
        run=trained.folder.path,
        split=script.split,
        checkpoint=weights,
        scores=run.scores,
        hypotheses=decoding.texts,
        baselines=scored,
        statistics=statistics,
        seconds=seconds,
        path=trained.folder.eval_folder / f"{result_name(script)}.json",
        content=content,
        table=table,
    )


def keep_and_show(keep: Callable[[], Path], table: str) -> None:
    """Write the files with `keep` first, then print: a closed terminal loses no files, and a full disk loses no
    table."""
    try:
        log.info("wrote %s", keep())
    finally:
        print(visible(table))


def _decode(
    trained: TrainedModel, corpus: EncodedCorpus, settings: TrainSettings, shortlists: Shortlists | None, bar: bool
) -> tuple[Decoding, float]:
    """The model's outputs for the corpus, not scored yet, and the seconds it took."""
    began = time.monotonic()
    with counting("decoding", len(corpus), "sentences", bar=bar) as count, memory_errors("decoding"):
        decoding = decode_corpus(
            trained.search_model,
            corpus,
            trained.tokenizer,
            settings.search().reading(trained.tokenizer.target),
            {},
            trained.runtime,
            settings.trainer.batch_tokens,
            count,
            shortlists,
        )
    return decoding, time.monotonic() - began


def _note_outputs(decoding: Decoding, corpus: EncodedCorpus, search: Search, references: References) -> dict[str, int]:
    """Warn of problems of the outputs; returns how many ended at a length limit, by its key."""
    counts = count_limits(limits_reached(search, decoding.hypotheses, corpus.source_lengths.tolist()))
    lines = [empty_references(references), alike(decoding.texts, references)]
    for line in [*lines, outputs_line(search, counts, len(corpus))]:
        if line is not None:
            log.warning("%s", line)
    return counts


def _statistics(
    texts: Sequence[str], sources: Sequence[str], corpus: EncodedCorpus, metrics: Mapping[str, Metric]
) -> dict[str, Statistics]:
    """For summaries only: statistics of the texts and the references, and the shares of both sides that were cut."""
    if not any(metric.of_summaries for metric in metrics.values()):
        return {}
    return {**compare_texts(texts, sources, corpus_references(corpus)), "truncated": asdict(corpus.truncated)}


def _made_with(script: EvaluateSettings, settings: TrainSettings, trained: TrainedModel) -> dict[str, Any]:
    return {
        "checkpoint": label(script.checkpoint, trained.step),
        SPLIT: script.split,
        CHANGED: changed_settings(script),
        "search": settings.plain["search"],
        "shortlist": script.shortlist,
        "ensemble": {name: f"step-{step}" for name, step in trained.others.items()},
        "engine": engine_name(script),
        "device": str(trained.runtime.device),
        "precision": trained.runtime.precision,
    }


def _summaries_and_baselines(
    script: EvaluateSettings, others: Mapping[str, Scored], statistics: Mapping[str, Statistics]
) -> dict[str, Any]:
    """Further content of eval/<name>.json: the baselines, and statistics of the texts."""
    content: dict[str, Any] = {}
    extracts = {name: scored for name, scored in others.items() if name != BASELINE}
    if extracts:
        content["baselines"] = {name: _with_lead(scored) for name, scored in extracts.items()}
    if BASELINE in others:
        lead = {name: found.plain() for name, found in others[BASELINE].lead.items()}
        content["baseline"] = {"run": script.baseline} | lead
    if statistics:
        content["statistics"] = statistics
    return content


def _with_lead(baseline: Scored) -> dict[str, Any]:
    """A baseline's scores, with the run's `difference` and its p-value."""
    return {
        name: {
            **score.plain(),
            "difference": baseline.lead[name].difference,
            "p_value": baseline.lead[name].p_value,
        }
        for name, score in baseline.scores.items()
    }


def changed_settings(script: EvaluateSettings) -> dict[str, Any]:
    """Settings other than the run's own, by their keys: checkpoint unless best, shortlist, other runs, engine unless
    ours, changed settings."""
    typed: dict[str, Any] = {"checkpoint": script.checkpoint} if script.checkpoint != "best" else {}
    if script.shortlist is not None:
        typed |= {"shortlist": script.shortlist}
    if script.ensemble:
        typed |= {"ensemble": script.ensemble}
    return typed | changed_engine(script) | script.changed


def result_name(script: EvaluateSettings) -> str:
    """The split's name, and the settings other than the run's own."""
    changed = changed_settings(script)
    checkpoint = changed.pop("checkpoint", None)
    return file_name([script.split, checkpoint] if checkpoint else [script.split], changed)
