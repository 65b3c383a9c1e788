"""What is known of a finished run: what training logged, what evaluate.py scored, how widely its attention looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from types import UnionType
from typing import Any

from seq2seq.analysis.attention.entropy import MeanEntropy
from seq2seq.analysis.evaluation.results import TEXTS, Result, read_result, split_results
from seq2seq.checkpoint.folder import MODEL, RunFolder
from seq2seq.checkpoint.read import best_step, load
from seq2seq.config import CONFIGS
from seq2seq.config.command_line.program import command_line, program
from seq2seq.config.metric_choices import choices_that_measure
from seq2seq.config.problems import show
from seq2seq.config.schema import CompareSettings, TrainSettings
from seq2seq.config.stored_run import run_path
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import CheckpointError, memory_errors
from seq2seq.inference.forced_attention import force
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.logger.jsonl import read_metrics
from seq2seq.training.state import limit_reached, saved_state


@dataclass(frozen=True)
class Measured:
    """One run's figures. Costs that it did not log, and the entropy of a model without attention, are None."""

    run: str
    seed: int
    checkpoint: str  # that was evaluated: step-N
    updates: int  # that the run has done
    score: float
    low: float  # of the score's 95% interval
    high: float
    signature: str
    sentences: int
    valid_nll: float | None  # nats a token, at the checkpoint that was evaluated
    entropy: float | None  # 0 to 1, mean over heads and target tokens
    parameters: int
    seconds_per_update: float | None
    tokens_per_second: float | None  # real target tokens
    peak_memory: float | None  # MiB
    device: str
    precision: str
    texts: str | None = None  # a hash of what was scored; older versions did not keep it


def train_command(settings: TrainSettings) -> str:
    """The command line that the run was last started with; of a run that did not keep it, where its settings are."""
    if settings.command:
        return command_line("train", settings.command)
    return f"{program('train')} ... run={settings.run}  # its settings: {run_path(settings.run)}/config.yaml"


def why_not_measurable(script: CompareSettings, settings: TrainSettings) -> str | None:
    """What must be done before this run can be compared, with the command that does it; None if nothing."""
    folder = RunFolder.of(settings.run)
    if not folder.steps():
        return f"run={settings.run} has no checkpoint yet: {train_command(settings)}"
    state = saved_state(load(folder, "last", [MODEL]))
    if limit_reached(settings.trainer, state) is None:
        return f"run={settings.run} is unfinished, at update {state.update}: {train_command(settings)}"
    split = "" if script.split == "test" else f" split={script.split}"
    evaluation = f"{program('evaluate')} run={settings.run}{split}"
    path = folder.eval_folder / f"{script.split}.json"
    if not path.is_file():
        return f"run={settings.run} has no {path}: {evaluation}"
    result = _evaluated(folder, script)
    path, found, best = result.path, result.content, f"step-{best_step(folder)}"
    if found.get("checkpoint") != best:
        return f"{path} is of {found.get('checkpoint')}, but the best checkpoint is now {best}: {evaluation}"
    if script.metric not in result.scores:
        missing = f"{path} has no score metric={script.metric}; it has: {', '.join(result.scores)}"
        choices = choices_that_measure(script.metric, CONFIGS)
        return missing + "".join(f"; metrics={choice} has it: {evaluation} metrics={choice}" for choice in choices[:1])
    if "low" not in found[script.metric]:
        return f"{path} has no confidence intervals: {evaluation}"
    _check_types(result, script.metric)
    return None


def _check_types(result: Result, metric: str) -> None:
    """Raise CheckpointError where a result does not hold what evaluate writes: it may come from anyone."""
    kinds: list[tuple[Mapping[str, Any], str, type | UnionType]] = [
        *((result.content[metric], key, int | float) for key in ("score", "low", "high")),
        (result.content[metric], "signature", str),
        (result.content, "sentences", int),
        *((result.content, key, str) for key in ("checkpoint", "device", "precision")),
    ]
    for place, key, kind in kinds:
        if not isinstance(place.get(key), kind):
            raise CheckpointError(f"{result.path} is broken: {key} is {show(place.get(key))}; evaluate the run again")


def _evaluated(folder: RunFolder, script: CompareSettings) -> Result:
    """The run's evaluation with its own settings: <split>.json, or of the same texts that which has the metric.

    Raises CheckpointError where <split>.json is broken.
    """
    usual = read_result(folder.eval_folder / f"{script.split}.json")
    for other in split_results(folder.eval_folder, script.split):
        same = other.content.get(TEXTS) == usual.content.get(TEXTS) is not None and other.changes_only("metrics")
        if script.metric in other.scores and (other.path == usual.path or same):
            return other
    return usual


def measure(script: CompareSettings, settings: TrainSettings) -> Measured:
    """Read and measure a run of which `why_not_measurable` says nothing."""
    folder = RunFolder.of(settings.run)
    evaluation = _evaluated(folder, script).content
    score = evaluation[script.metric]
    trained = load_trained(settings.run, settings, "best")
    corpus = prepare_split(
        data=settings.data(),
        split=script.split,
        tokenizer=trained.tokenizer,
        length=settings.length,
        cache=Path(script.cache_dir),
    )
    try:
        logged = read_metrics(folder.metrics_file)
    except OSError as error:
        raise CheckpointError(f"{folder.metrics_file} cannot be read: {error.strerror}") from error
    at_step = [line for line in logged if line["update"] == trained.step]
    with memory_errors("measuring attention"):
        entropy = attention_entropy(trained, corpus, settings.trainer.batch_tokens)
    return Measured(
        run=settings.run,
        seed=settings.seed,
        checkpoint=evaluation["checkpoint"],
        updates=logged[-1]["update"] if logged else trained.step,
        score=score["score"],
        low=score["low"],
        high=score["high"],
        signature=score["signature"],
        sentences=evaluation["sentences"],
        valid_nll=_logged(at_step, "valid/nll", max),
        entropy=entropy,
        parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        seconds_per_update=_logged(logged, "train/seconds_per_update", median),
        tokens_per_second=_logged(logged, "train/tokens_per_second", median),
        peak_memory=_logged(logged, "train/peak_memory", max),
        device=evaluation["device"],
        precision=evaluation["precision"],
        texts=evaluation.get(TEXTS),
    )


def attention_entropy(trained: TrainedModel, corpus: EncodedCorpus, tokens_per_batch: int) -> float | None:
    """Mean over heads and target tokens, end symbols counted, of the last layer's normalised entropy, references given.

    None for a model without attention.
    """
    entropy = MeanEntropy()
    start = corpus.target_start
    sources = [corpus.source(pair) for pair in range(len(corpus))]
    targets = [corpus.target(pair)[len(start) :] for pair in range(len(corpus))]
    for _, forced in force(trained.model, sources, targets, trained.runtime, tokens_per_batch, target_start=start):
        if not forced.layers:
            return None
        entropy.add(forced.layers, forced.visible)
    return mean(entropy.result()[-1])


def _logged(lines: list[dict[str, Any]], tag: str, of_all: Callable[[list[float]], float]) -> float | None:
    """One number for all that was logged under a tag; None if nothing was."""
    values = [line[tag] for line in lines if line.get(tag) is not None]
    return of_all(values) if values else None
