"""trainer.tokens_per_batch=auto: what fits is found without a trace, and kept with the run."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from small_runs import evaluate_settings, same, settings, weights

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.runtime.distributed import World
from seq2seq.training import batch_size as module
from seq2seq.training import run as run_module
from seq2seq.training.batch_size import Probe, settle_batch_size
from seq2seq.training.run import train
from seq2seq.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")

SHORT = ("trainer.max_updates=4", "trainer.save_every=2", "encoder.dropout=0.3", "encoder.recurrent_dropout=0.2")
AUTO = (*SHORT, "trainer.tokens_per_batch=auto")


def state(run: str, step: int) -> dict[str, Any]:
    return json.loads(Path(f"runs/{run}/checkpoints/step-{step}/state.json").read_text())


def free(memory: int) -> Any:
    """As if so many bytes were free."""
    return mock.patch.object(module, "available_memory", lambda: memory)


def probed(*words: str) -> tuple[Trainer, Probe]:
    """The trainer of a run at its start, and its probe."""
    found: list[Trainer] = []

    class Begun(Exception):
        """Ends the run before its first update."""

    def begin(trainer: Trainer) -> None:
        found.append(trainer)
        raise Begun

    with mock.patch.object(run_module, "settle_batch_size", begin), pytest.raises(Begun):
        train(settings("probed", *words))
    return found[0], Probe(found[0])


def test_the_search_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The run is that of someone who typed the number that was found."""
    with caplog.at_level(logging.INFO):
        train(settings("auto", *AUTO))
    number = state("auto", 4)["tokens_per_batch"]
    assert number == 1024  # holds a whole update of 500 target tokens
    (line,) = (text for text in caplog.messages if "tokens_per_batch=auto" in text)
    assert line.startswith("trainer.tokens_per_batch=auto is 1,024: a token takes about 0.")
    train(settings("typed", *SHORT, f"trainer.tokens_per_batch={number}"))
    assert same(weights("auto", 4), weights("typed", 4))
    assert state("typed", 4)["tokens_per_batch"] is None


def test_a_continued_run_keeps_its_number() -> None:
    """Whatever is free then; its random numbers depend on it."""
    with free(2**40):
        train(settings("whole", *AUTO))
        train(settings("parts", *AUTO, "trainer.max_updates=2"))
    with free(0):
        train(settings("parts", *AUTO))
        train(settings("poor", *AUTO))
    assert same(weights("whole", 4), weights("parts", 4))
    assert [state(run, 4)["tokens_per_batch"] for run in ("whole", "parts", "poor")] == [1024, 1024, 128]


def test_less_memory_gives_smaller_batches() -> None:
    """Down to those that hold the longest pair."""
    trainer, probe = probed(*AUTO)
    assert probe.sizes() == [1024, 512, 256, 128]
    assert 64 < int(probe.longest.max()) <= 128
    found = {}
    for memory in (2**40, 0):
        with free(memory):
            found[memory] = probe.largest()[0]
    assert found == {2**40: 1024, 0: 128}
    cost = max(probe.kept_bytes(rows) / probe._area(rows) for rows in probe.worst(512))
    room = module.PEAK * cost * 300 / (1 - module.MARGIN) + probe._unallocated() + module.KERNELS
    with free(int(room)):
        assert probe.largest()[0] == 256
    assert not trainer.updater.optimizer.state
    assert all(parameter.grad is None for parameter in trainer.strategy.model.parameters())


def test_batches_that_are_tried_are_within_the_size_and_the_worst() -> None:
    _, probe = probed(*AUTO)
    for size in (128, 500, 1024):
        batches = list(probe.worst(size))
        assert all(probe._area(rows) <= size for rows in batches)
        assert {len(np.unique(rows)) for rows in batches} == {len(rows) for rows in batches}
        areas = (probe.corpus.source_lengths + 1) * (probe.corpus.target_lengths + 1)
        assert areas[batches[0]].max() == areas.max()
        assert probe.corpus.target_lengths[batches[1]].max() == probe.corpus.target_lengths.max()


@pytest.mark.parametrize(("fits", "decodes", "expected"), [(600, 9999, 512), (9999, 300, 256), (1, 1, 128)])
def test_a_gpu_is_tried(fits: int, decodes: int, expected: int) -> None:
    """Training and decoding, largest first, with the room of what is still to come held aside."""
    trainer, probe = probed(*AUTO)
    held = []

    def passes(rows: np.ndarray) -> None:
        if probe._area(rows) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def decode(_: Any, tokens_per_batch: int) -> None:
        if tokens_per_batch > decodes:
            raise RuntimeError("CUDA error: out of memory")

    def empty(size: int, **_: Any) -> torch.Tensor:
        held.append(size)
        return torch.zeros(1)

    with (
        mock.patch.object(probe, "passes", passes),
        mock.patch.object(trainer.validator, "decode_longest", decode),
        mock.patch.object(module.torch, "empty", empty),
        mock.patch.object(module.torch.cuda, "mem_get_info", lambda _: (5000, 10_000)),
    ):
        assert probe._tried(probe.sizes())[0] == expected
    trained = sum(parameter.numel() for parameter in trainer.strategy.model.parameters())
    assert set(held) == {1000 + 12 * trained}


def test_the_longest_sources_can_be_decoded() -> None:
    trainer, _ = probed(*AUTO)
    trainer.validator.decode_longest(trainer.strategy.model, 100)
    assert trainer.strategy.model.training


def test_of_several_processes_the_smallest_number_counts() -> None:
    class OfTwo(World):
        def all_reduce_max(self, value: float) -> float:
            return max(value, -256.0)

    trainer: Any = SimpleNamespace(
        settings=SimpleNamespace(tokens_per_batch="auto"),
        state=SimpleNamespace(tokens_per_batch=None),
        runtime=SimpleNamespace(device=torch.device("cpu")),
        world=OfTwo(),
        updater=SimpleNamespace(micro_batches=SimpleNamespace()),
        validator=SimpleNamespace(batches=SimpleNamespace()),
    )
    with mock.patch.object(module, "Probe", lambda _: SimpleNamespace(largest=lambda: (1024, "there is room"))):
        settle_batch_size(trainer)
    assert trainer.state.tokens_per_batch == 256
    assert trainer.updater.micro_batches.tokens_per_batch == trainer.validator.batches.tokens_per_batch == 256


def test_an_evaluation_of_such_a_run_has_a_number() -> None:
    run = settings("auto", *AUTO)
    train(run)
    assert run.trainer.batch_tokens == 4096
    assert evaluate(evaluate_settings("auto"), run).scores["bleu"].value >= 0
