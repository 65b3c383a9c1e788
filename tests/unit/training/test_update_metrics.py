"""Reports: means over a window of updates, under the tags that docs/training.md lists."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seq2seq.logger.base import Session
from seq2seq.logger.jsonl import JsonLines
from seq2seq.objective.base import Losses
from seq2seq.reporting.progress import Progress
from seq2seq.runtime.distributed import World
from seq2seq.training.state import TrainState
from seq2seq.training.update_metrics import Reporter, Sums, UpdateFigures


def update(number: int, seconds: float, tokens: int) -> UpdateFigures:
    sums = Sums(torch.device("cpu"))
    loss, nll = torch.tensor([3.0 * tokens, 2.0 * tokens])
    losses = Losses(loss, nll, {"cross_entropy": loss - tokens, "attention_penalty": nll - tokens})
    sums.add(losses, 1, real=2 * tokens, cells=4 * tokens)
    sums.add(losses, 0, real=9, cells=9)  # of a process without a share
    return UpdateFigures(number, sums, tokens, norm=0.5, lr=0.1, seconds=seconds)


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, float]]:
    """The lines of two windows of three updates; one update was slow."""
    with closing(JsonLines(session=Session(tmp_path))) as recorder:
        progress = Progress(6, None, 0, 0.0)
        device = torch.device("cpu")
        reporter = Reporter(progress=progress, recorder=recorder, device=device, world=World())
        for number, seconds in enumerate((0.1, 5.0, 0.3, 0.2, 0.2, 0.2), start=1):
            reporter.updated(number / 6, update(number, seconds, tokens=100 * number), report=number % 3 == 0)
    return [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().split("\n")[:-1]]


def test_sums_are_divided_by_the_windows_tokens_and_seconds(lines: list[dict[str, float]]) -> None:
    assert [line["update"] for line in lines] == [3, 6]
    for line, tokens, seconds in zip(lines, (600, 1500), (5.4, 0.6), strict=True):
        assert line["train/loss"] == 3.0
        assert line["train/nll"] == 2.0
        assert (line["train/cross_entropy"], line["train/attention_penalty"]) == (2.0, 1.0)
        assert line["train/padding"] == 0.5
        assert line["train/tokens_per_second"] == pytest.approx(tokens / seconds)


def test_seconds_per_update_are_the_median(lines: list[dict[str, float]]) -> None:
    assert [line["train/seconds_per_update"] for line in lines] == [0.3, 0.2]


def test_peak_memory_is_in_mebibytes_and_never_falls(lines: list[dict[str, float]]) -> None:
    first, second = (line["train/peak_memory"] for line in lines)
    assert 50 < first <= second < 100_000


def test_every_tag_is_documented(lines: list[dict[str, float]], repository: Path) -> None:
    page = (repository / "docs/training.md").read_text(encoding="utf-8")
    counts = TrainState(skipped=1, oom_splits=1).counts
    assert [tag for tag in (*lines[0], *counts) if tag != "update" and f"`{tag}`" not in page] == []


def test_counts_begin_with_the_first() -> None:
    assert TrainState().counts == {}
    assert TrainState(skipped=3).counts == {"train/skipped": 3}


def test_updates_that_are_not_finite_are_in_no_mean_but_took_their_time(tmp_path: Path) -> None:
    with closing(JsonLines(session=Session(tmp_path))) as recorder:
        progress, device = Progress(6, None, 0, 0.0), torch.device("cpu")
        reporter = Reporter(progress=progress, recorder=recorder, device=device, world=World())
        bad = replace(update(2, 0.4, tokens=100), norm=float("nan"))
        bad.sums.total += float("inf")
        reporter.updated(0.1, update(1, 0.1, tokens=100), report=False)
        reporter.updated(0.2, bad, report=True, counts={"train/skipped": 1})
        reporter.updated(0.3, bad, report=True, counts={"train/skipped": 2})
    first, second = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().split("\n")[:-1])
    assert (first["train/loss"], first["train/nll"], first["train/grad_norm"]) == (3.0, 2.0, 0.5)
    assert first["train/tokens_per_second"] == pytest.approx(200 / 0.5)
    assert (first["train/skipped"], second["train/skipped"]) == (1, 2)
    assert not {"train/loss", "train/nll", "train/grad_norm", "train/cross_entropy"} & second.keys()
    assert second["train/lr"] == 0.1


def test_a_validation_shows_only_its_own_values(tmp_path: Path) -> None:
    shown: list[Mapping[str, float]] = []

    class Shown(Progress):
        def validated(self, update: int, scores: Mapping[str, float], best: bool) -> None:
            shown.append(scores)

    with closing(JsonLines(session=Session(tmp_path))) as recorder:
        progress, device = Shown(6, None, 0, 0.0), torch.device("cpu")
        reporter = Reporter(progress=progress, recorder=recorder, device=device, world=World())
        reporter.updated(0.1, update(1, 0.1, tokens=100), report=True)
        reporter.validated(2, {"valid/nll": 2.5}, best=True)
    assert shown == [{"valid/nll": 2.5}]
