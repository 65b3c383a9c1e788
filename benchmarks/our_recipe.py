"""Ours, a whole recipe a turn: python benchmarks/our_recipe.py FOLDER WORD..., the words those of scripts/train.py.

A turn's word is the most seconds that training may take, its validations and its checkpoints counted, and CUDA graphs
recorded. How many updates fit into them depends on the machine, and the learning rate must come down by the last one.
So a rehearsal comes first, of some updates or a part of the seconds, which also starts what starts but once (CUDA,
kernels, caches). It counts for nothing. Then the recipe is trained, from the beginning and with as many updates as fit,
at most its own, and its best checkpoint scores the test set. The run is left in FOLDER/run, and the test set's ids in
FOLDER/test.npz.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from measuring import gpu_memory
from peers.exchange import write_pairs
from peers.turns import Turns, peak_mib
from report import PACKAGES

from seq2seq.config import CONFIGS, compose, load_stored, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.data.prepare import prepare_split
from seq2seq.inference.corpus_decoding import decode_corpus
from seq2seq.inference.trained_model import load_trained
from seq2seq.logger.base import Recorder, Session
from seq2seq.training.run import train

REHEARSAL, REHEARSED_UPDATES = 0.2, 200  # of the seconds at most, or so many updates
FITTED = 0.9  # of the seconds are planned for, since logs take some and no pace is steady


def main() -> None:
    turns = Turns()
    folder, *words = sys.argv[1:]
    turns.ready(*PACKAGES)
    while True:
        turns.answer(**recipe(Path(folder), words, float(turns.wait())))


def recipe(folder: Path, words: Sequence[str], seconds: float) -> dict[str, Any]:
    """All figures of a turn."""
    pace = rehearse([*words, f"run={folder}/rehearsal"], REHEARSAL * seconds)
    run = f"{folder}/run"
    settings = composed([*words, f"run={run}"])
    settings = composed([*words, f"run={run}", *fitting(settings, pace, seconds)])
    clock = trained(settings)
    figures = {"seconds": clock.seconds, "rehearsal": asdict(pace), "peak_mib": peak_mib(), **gpu_memory()}
    return figures | progress(clock.entries, settings) | scores(run, folder)


def composed(words: Sequence[str]) -> TrainSettings:
    """The settings that these words make."""
    return load_train(compose(CONFIGS, "train", words))


@dataclass
class Clock:
    """What a training recorded, each time with the seconds since its beginning, and how long it took."""

    began: float = field(default_factory=time.perf_counter)
    entries: list[tuple[float, int, Mapping[str, float]]] = field(default_factory=list)
    seconds: float = 0.0


class ClockedRecorder(Recorder):
    """Looks at the clock. It is begun right before the first update, behind the run's own recorders, and closed behind
    the last checkpoint."""

    def __init__(self, clock: Clock, *, session: Session) -> None:
        self._clock = clock
        clock.began = time.perf_counter()

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """The run's own recorders have written them."""
        self._clock.entries.append((time.perf_counter() - self._clock.began, update, dict(values)))

    def close(self) -> None:
        """The training is over."""
        self._clock.seconds = time.perf_counter() - self._clock.began


def trained(settings: TrainSettings) -> Clock:
    """Train the run, and look at the clock."""
    clock = Clock()
    train(settings, recorders=[partial(ClockedRecorder, clock)])
    return clock


@dataclass(frozen=True)
class Pace:
    """Seconds of one update, of one validation with the checkpoint that follows upon it, and of all before the first
    update (to record CUDA graphs)."""

    update: float
    validation: float
    start: float = 0.0


def rehearse(words: Sequence[str], seconds: float) -> Pace:
    """The pace of a short training: of its second half, when all is warm, and of the validation that ends it."""
    few = [f"trainer.max_updates={REHEARSED_UPDATES}", "schedule.horizon=1000000"]
    few += ["trainer.validate_every=1000000", "trainer.log_every=1"]
    clock = trained(composed([*words, *few, f"trainer.max_minutes={seconds / 60}"]))
    *updates, _ = clock.entries
    times = [values["train/seconds_per_update"] for _, _, values in updates]
    return Pace(median(times[len(times) // 2 :]), clock.seconds - updates[-1][0], max(0.0, updates[0][0] - times[0]))


def fitting(settings: TrainSettings, pace: Pace, seconds: float) -> list[str]:
    """Words for as many updates as fit into the seconds, at most those of the recipe; warm-up shrinks with them.

    The limit on the time is earlier by a validation, which follows upon it.
    """
    own, every = settings.trainer.max_updates, settings.trainer.validate_every
    assert own is not None
    fit = int((FITTED * seconds - pace.start - pace.validation) / (pace.update + pace.validation / every))
    updates = min(own, max(2, fit))
    warmup = settings.schedule.arguments["warmup"] * updates // own
    minutes = max(seconds - pace.validation, REHEARSAL * seconds) / 60
    words = [f"trainer.max_updates={updates}", f"schedule.warmup={warmup}", f"trainer.max_minutes={minutes}"]
    return [*words, f"schedule.horizon={updates}"] if "horizon" in settings.schedule.arguments else words


def progress(entries: Sequence[tuple[float, int, Mapping[str, float]]], settings: TrainSettings) -> dict[str, Any]:
    """How far training came, and the score of the validation set against minutes."""
    metric = settings.trainer.best_metric
    curve = [
        {"minutes": at / 60, "update": update, metric: values[metric], "valid/nll": values["valid/nll"]}
        for at, update, values in entries
        if metric in values
    ]
    best = max(curve, key=lambda point: point[metric])
    planned = settings.trainer.max_updates
    return {"updates": entries[-1][1], "planned_updates": planned, "best_valid": best, "valid_curve": curve}


def scores(run: str, folder: Path) -> dict[str, Any]:
    """The test set's scores of the best checkpoint, decoded with the run's own search, and how long that took."""
    settings = load_stored(run)
    ready = load_trained(run, settings, "best")
    corpus = prepare_split(data=settings.data(), split="test", tokenizer=ready.tokenizer, length=settings.length)
    write_pairs(folder / "test.npz", corpus)
    metrics = {name: part() for name, part in settings.metrics.items()}
    tokens = settings.trainer.tokens_per_batch
    began = time.perf_counter()
    search = settings.search().reading(ready.tokenizer.target)
    found = decode_corpus(ready.model, corpus, ready.tokenizer, search, metrics, ready.runtime, tokens)
    seconds = time.perf_counter() - began
    return {
        "test": {name: score.plain() for name, score in found.scores.items()},
        "test_sentences": len(corpus),
        "test_seconds": seconds,
        "search": settings.plain["search"],
        "precision": ready.runtime.precision,
    }


if __name__ == "__main__":
    main()
