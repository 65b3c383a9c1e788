"""Score a run on one of its splits: a table, eval/<split>.json and eval/<split>.hyp.txt."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seq2seq.analysis.trained import Trained, load_trained
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.storage import replace_file, storage_errors
from seq2seq.config.identity import run_path, stored_config
from seq2seq.config.schema import EvaluateSettings, TrainSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare_split
from seq2seq.data.text import read_lines
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.metrics.base import Metric, Score
from seq2seq.metrics.significance import Comparison, bootstrap, compare
from seq2seq.training.device import memory_errors
from seq2seq.training.progress import counting
from seq2seq.training.validation import Decoding, corpus_references, decode_corpus

log = logging.getLogger(__name__)

LEAST_SAMPLES = 40  # a 95% interval needs as many


def evaluate(script: EvaluateSettings, settings: TrainSettings) -> None:
    """Decode, score, compare; the table goes to stdout, the files into the run's eval folder."""
    if 0 < script.bootstrap < LEAST_SAMPLES:
        raise ConfigError(f"bootstrap={script.bootstrap}: give at least {LEAST_SAMPLES} samples, or 0 for none")
    trained = load_trained(script.run, settings, script.checkpoint)
    corpus = prepare_split(
        data=settings.data(), split=script.split, tokenizer=trained.tokenizer, length=settings.length
    )
    log.info("%s", corpus.report)
    metrics = {name: part() for name, part in settings.metrics.items()}
    baseline = None if script.baseline is None else _baseline_texts(script, len(corpus))
    decoding, seconds = _decode(trained, corpus, settings, metrics)
    scores = with_intervals(decoding, corpus, metrics, script.bootstrap)
    comparisons = _compare(decoding, baseline, corpus, metrics)
    print(table(scores, comparisons, f"{trained.folder.path}, {script.split}, step {trained.step}"))
    _write(script, settings, trained, decoding, scores, comparisons, seconds)


def _decode(
    trained: Trained, corpus: EncodedCorpus, settings: TrainSettings, metrics: Mapping[str, Metric]
) -> tuple[Decoding, float]:
    began = time.monotonic()
    with counting("decoding", len(corpus), "sentences") as count, memory_errors("decoding"):
        decoding = decode_corpus(
            trained.model,
            corpus,
            trained.tokenizer,
            settings.search(),
            metrics,
            trained.runtime,
            settings.trainer.tokens_per_batch,
            count,
        )
    return decoding, time.monotonic() - began


def with_intervals(
    decoding: Decoding, corpus: EncodedCorpus, metrics: Mapping[str, Metric], samples: int
) -> dict[str, Score]:
    """The scores, each with its 95% bootstrap interval; as they are if `samples` is 0."""
    scores = dict(decoding.scores)
    for metric in metrics.values() if samples else ():
        for name, (low, high) in bootstrap(metric, decoding.texts, corpus_references(corpus), samples=samples).items():
            scores[name] = replace(scores[name], low=low, high=high)
    return scores


def _compare(
    decoding: Decoding, baseline: Sequence[str] | None, corpus: EncodedCorpus, metrics: Mapping[str, Metric]
) -> dict[str, Comparison]:
    if baseline is None:
        return {}
    references = corpus_references(corpus)
    found: dict[str, Comparison] = {}
    for metric in metrics.values():
        found |= compare(metric, decoding.texts, baseline, references)
    return found


def _baseline_texts(script: EvaluateSettings, sentences: int) -> list[str]:
    """What another run made of the same split; it must have been evaluated before."""
    baseline = str(script.baseline)
    stored_config(baseline)  # or there is no such run
    path = RunFolder(run_path(baseline)).eval_folder / f"{script.split}.hyp.txt"
    if not path.is_file():
        raise CheckpointError(
            f"baseline={script.baseline} has no {path}: first run "
            f"python scripts/evaluate.py run={script.baseline} split={script.split}"
        )
    texts = list(read_lines(path))
    if len(texts) != sentences:
        raise CheckpointError(f"{path} has {len(texts)} lines, but {script.split} has {sentences}: evaluate it anew")
    return texts


def table(scores: Mapping[str, Score], comparisons: Mapping[str, Comparison], title: str) -> str:
    """The scores for a person, one a line: value, interval, signature; then what differs from the baseline."""
    lines = [title]
    for name, score in scores.items():
        interval = "" if score.low is None else f" [{score.low:.2f}, {score.high:.2f}]"
        lines.append(f"{name:>9}  {score.value:6.2f}{interval}  {score.signature}")
    for name, found in comparisons.items():
        lines.append(
            f"{name:>9}  {found.difference:+6.2f} against the baseline's {found.baseline:.2f}, p = {found.p_value:.4f}"
        )
    return "\n".join(lines)


def _write(
    script: EvaluateSettings,
    settings: TrainSettings,
    trained: Trained,
    decoding: Decoding,
    scores: Mapping[str, Score],
    comparisons: Mapping[str, Comparison],
    seconds: float,
) -> None:
    """eval/<name>.json and .hyp.txt, one hypothesis a line (line breaks inside one become spaces)."""
    folder = trained.folder.eval_folder
    name = result_name(script)
    content: dict[str, Any] = {key: score.plain() for key, score in scores.items()}
    content |= {
        "checkpoint": f"step-{trained.step}" if script.checkpoint != "average" else "average",
        "search": settings.plain["search"],
        "sentences": len(decoding.texts),
        "seconds": round(seconds, 3),
        "device": str(trained.runtime.device),
        "precision": trained.runtime.precision,
    }
    if comparisons:
        content["baseline"] = {"run": script.baseline} | {key: found.plain() for key, found in comparisons.items()}
    with storage_errors(f"write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(" ".join(line.split("\n")) + "\n" for line in decoding.texts)
        replace_file(folder / f"{name}.hyp.txt", text)
        replace_file(folder / f"{name}.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    log.info("wrote %s", folder / f"{name}.json")


def result_name(script: EvaluateSettings) -> str:
    """The split's name, and whatever is not the run's own: the checkpoint unless best, changed search and data keys."""
    parts = [script.split]
    if script.checkpoint != "best":
        parts.append(script.checkpoint)
    parts += [f"{key}={value}".replace("/", "-") for key, value in sorted(script.changed.items())]
    return "-".join(parts)
