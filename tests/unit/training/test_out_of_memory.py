"""Memory that runs out in a training: smaller micro-batches, the same update; smaller batches of a validation, the same
scores; and a pair that does not fit is named."""

import json
import logging
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
import pytest
import torch
from forks import FORKS, as_started
from small_runs import same, settings, weights
from unit.training.moving_average import MovingAverage, averages

from seq2seq.errors import OutOfMemoryError
from seq2seq.inference import corpus_decoding
from seq2seq.model.model import Model
from seq2seq.objective.base import Losses
from seq2seq.training import setup
from seq2seq.training.forward_backward import ForwardBackward
from seq2seq.training.run import train
from seq2seq.training.update import Updater
from seq2seq.types import Batch

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")

PLAIN = ("encoder.dropout=0", "decoder.dropout=0", "embedding.dropout=0", "optimizer.fused=false", "optimizer.lr=0.01")
LARGE = ("trainer.tokens_per_batch=2000", "trainer.max_updates=3", "trainer.log_every=1", "trainer.validate_every=3")


def lines(run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("runs", run, "metrics.jsonl").read_text().split("\n")[:-1]]


@contextmanager
def in_float64() -> Iterator[None]:
    """Models are in float64, so that differences of rounding stay small."""
    build = setup.build_model
    with mock.patch.object(setup, "build_model", lambda *a, **k: build(*a, **k).double()):
        yield


@contextmanager
def room_for(cells: int) -> Iterator[list[int]]:
    """Memory runs out in the backward pass of each micro-batch of more positions, when some or all of its gradients
    have been added. Yields the pairs of the micro-batches that fitted, as many lists as updates were begun."""
    passes, fitted = ForwardBackward.__call__, cast(list[int], [])

    def limited(self: ForwardBackward, batch: Batch, weight: int, tokens: int, *, last: bool) -> Losses:
        losses = passes(self, batch, weight, tokens, last=last)
        if batch.source.numel() + batch.target_in.numel() > cells:
            next(self.strategy.model.parameters()).grad = None  # which was not reached
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        fitted.append(len(batch.source))
        return losses

    with mock.patch.object(ForwardBackward, "__call__", limited):
        yield fitted


def test_an_update_is_its_pairs_however_often_it_was_split(caplog: pytest.LogCaptureFixture) -> None:
    words = (*PLAIN, *LARGE, "trainer.tokens_per_update=1500")
    with in_float64():
        train(settings("roomy", *words), step_hooks=[MovingAverage])
        with room_for(150) as fitted, caplog.at_level(logging.WARNING):
            train(settings("tight", *words), step_hooks=[MovingAverage])
    assert max(fitted) > 1
    for line, other in zip(lines("roomy"), lines("tight"), strict=True):
        tags = {"train/loss", "train/nll", "train/grad_norm", "valid/nll"} & line.keys()
        assert {tag: other[tag] for tag in tags} == pytest.approx({tag: line[tag] for tag in tags}, rel=1e-9)
    one, other = weights("roomy", 3), weights("tight", 3)
    assert all((one[name] - other[name]).abs().max() < 1e-9 for name in one)
    assert averages("tight", 3)["calls"] == 3
    counts = [line["train/oom_splits"] for line in lines("tight") if "train/loss" in line]
    assert counts == sorted(counts) and counts[0] >= 3
    assert all("train/oom_splits" not in line for line in lines("roomy"))
    (warning,) = (text for text in caplog.messages if "out of memory" in text)
    assert "it was split, and the update keeps its pairs; a lower trainer.tokens_per_batch is faster" in warning
    assert json.loads(Path("runs/tight/checkpoints/step-3/state.json").read_text())["oom_splits"] == counts[-1]


def test_a_split_update_draws_its_random_numbers_again() -> None:
    """With dropout: twice the same, also where what came before the failure has drawn other numbers."""
    words = (*LARGE, "encoder.dropout=0.3", "trainer.tokens_per_update=1500")
    for run in ("once", "again"):
        with room_for(200):
            train(settings(run, *words))
    assert same(weights("once", 3), weights("again", 3))


def test_a_pair_that_does_not_fit_is_named() -> None:
    """By its line, which is not its number: some pairs are dropped before it."""
    words = (*LARGE, "length.max_source=30", "length.max_target=30")
    message = (
        r"out of memory while training: the pair of line \d+ of the training text does not fit even alone, as a batch "
        r"of 1 x \d+ source and 1 x \d+ target tokens; lower length.max_source and length.max_target, make the mo"
    )
    with room_for(5), pytest.raises(OutOfMemoryError, match=message) as ended:
        train(settings("small", *words))
    assert ended.value.exit_code == 8


def test_a_sum_over_processes_that_has_begun_is_not_repeated() -> None:
    """The others take part in it."""
    updater: Any = SimpleNamespace(
        step=SimpleNamespace(strategy=SimpleNamespace(reducing=True)), micro_batches=mock.Mock()
    )
    updater.forward_backward = mock.Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory"))
    updater.device = torch.device("cpu")
    planned: Any = mock.Mock(tokens=3)
    with pytest.raises(torch.OutOfMemoryError):
        Updater._passes(updater, planned, [(np.arange(2), None)], 1, lambda _: None)


def test_other_errors_are_not_taken_for_it() -> None:
    with (
        mock.patch.object(ForwardBackward, "__call__", side_effect=RuntimeError("shapes do not fit")),
        pytest.raises(RuntimeError, match="shapes do not fit"),
    ):
        train(settings("wrong", *LARGE))


def _limited(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """The function; memory runs out for more than so many tokens per batch."""

    def limited(*arguments: Any, tokens_per_batch: int, **more: Any) -> Any:
        if tokens_per_batch > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")
        return function(*arguments, tokens_per_batch=tokens_per_batch, **more)

    return limited


def test_a_validation_takes_smaller_batches(caplog: pytest.LogCaptureFixture) -> None:
    """And has the same scores, for the loss of given targets and for decoding."""
    train(settings("roomy", *PLAIN, *LARGE))
    loss = Model.loss

    def limited_loss(self: Model, batch: Batch) -> Any:
        if batch.source.numel() > 600 and not self.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(self, batch)

    with (
        mock.patch.object(corpus_decoding, "decode", _limited(corpus_decoding.decode, 100)),
        mock.patch.object(Model, "loss", limited_loss),
        caplog.at_level(logging.WARNING),
    ):
        train(settings("tight", *PLAIN, *LARGE))
    for line, other in zip(lines("roomy"), lines("tight"), strict=True):
        tags = [tag for tag in line if tag.startswith("valid/")]
        assert {tag: other[tag] for tag in tags} == pytest.approx({tag: line[tag] for tag in tags}, rel=1e-5)
    warnings = [text for text in caplog.messages if "out of memory" in text]
    assert "out of memory while decoding validation with trainer.tokens_per_batch=" in warnings[-1]
    assert warnings[-1].endswith(": batches have at most 62 tokens now")


def test_a_validation_that_cannot_fit_names_the_longest_pair() -> None:
    message = (
        r"out of memory while decoding: the pair of line \d+ of the validation text .* lower search.beam_size, make"
    )
    with (
        mock.patch.object(corpus_decoding, "decode", _limited(corpus_decoding.decode, 0)),
        pytest.raises(OutOfMemoryError, match=message),
    ):
        train(settings("decoding", *LARGE))


HEAVY = ("attention=bahdanau", "attention.attn_dim=768", "trainer.tokens_per_update=20000", "decoder.attend=before")
REAL = ("trainer.tokens_per_batch=20000", "trainer.max_updates=1", "trainer.log_every=1", "trainer.validate_every=1")
ROOM = 300_000_000  # bytes beyond what the process has


def _train_with_little_room(cwd: Path, environment: dict[str, str]) -> None:
    as_started(cwd, environment)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    train(settings("limited", *PLAIN, *HEAVY, *REAL))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of a process is read from /proc")
def test_a_real_limit_of_memory_is_kept(tmp_path: Path) -> None:
    """The address space of a process is limited, and a whole update as one micro-batch takes several times as much."""
    train(settings("free", *PLAIN, *HEAVY, *REAL))
    process = FORKS.Process(target=_train_with_little_room, args=(tmp_path, {**os.environ, "OMP_NUM_THREADS": "1"}))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    free, limited = ([line for line in lines(run) if "train/loss" in line] for run in ("free", "limited"))
    assert [line["train/loss"] for line in limited] == pytest.approx([line["train/loss"] for line in free], rel=1e-4)
    assert limited[-1]["train/oom_splits"] >= 1
