"""The benchmark measures every attention, next to naive versions that compute the same."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.runtime.device import choose_runtime

RUNTIME = choose_runtime("cpu", "fp32")


@pytest.fixture
def cases(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/cases.py, as its script imports it."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import cases

    return cases


@pytest.fixture
def measuring(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/measuring.py."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import measuring

    return measuring


def test_every_attention_and_normalizer_is_measured_with_a_naive_version(cases: Any, repository: Path) -> None:
    """`alone` raises if the naive version computes something else."""
    attentions, normalizers = (
        {path.stem for path in (repository / "configs" / group).glob("*.yaml")} for group in ("attention", "normalizer")
    )
    found = [*cases.choices()]
    assert str(found[0]) == cases.REFERENCE
    assert {choice.attention for choice in found} == attentions
    assert {choice.normalizer for choice in found} == normalizers
    without = [str(choice) for choice in found if "naive" not in cases.alone(choice, 3, 5, 4, RUNTIME)]
    assert without == []


def test_wrong_naive_version_is_detected(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Callable[..., torch.Tensor] = lambda attention, queries, states, mask: queries * 0  # noqa: E731
    monkeypatch.setattr(cases, "naive", wrong)
    with pytest.raises(AssertionError, match="LuongDotAttention"):
        cases.alone(cases.Choice("luong_dot"), 3, 5, 4, RUNTIME)


def test_measured_runs_compute_all_gradients_and_clear_them(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[bool] = []
    forget = cases._forget
    seen = lambda leaves: forget([reached.append(leaf.grad is not None) or leaf for leaf in leaves])  # noqa: E731
    monkeypatch.setattr(cases, "_forget", seen)
    for run in cases.alone(cases.Choice("bahdanau"), 3, 5, 4, RUNTIME).values():
        run()
    cases.update(cases.Choice("bahdanau").settings("decoder.attend=before"), 2, 3, 4, RUNTIME)()
    assert len(reached) > 20
    assert all(reached)


def test_memory_is_the_peak_and_not_the_sum(measuring: Any) -> None:
    def one_after_the_other() -> None:
        for _ in range(3):
            torch.ones(8 * 2**20 // 4)

    def together() -> None:
        held = [torch.ones(8 * 2**20 // 4) for _ in range(3)]
        assert len(held) == 3

    cpu = torch.device("cpu")
    assert measuring.measure_memory(one_after_the_other, cpu) == pytest.approx(8, abs=0.5)
    assert measuring.measure_memory(together, cpu) == pytest.approx(24, abs=0.5)


def test_rounds_are_interleaved_and_the_first_is_not_counted(measuring: Any) -> None:
    order: list[str] = []
    times = measuring.measure_times(
        {name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, device=torch.device("cpu")
    )
    assert order == list("abababab")
    assert [len(found.rounds) for found in times.values()] == [3, 3]


def test_ratio_is_the_median_over_rounds(measuring: Any) -> None:
    mine, theirs = measuring.Times([0.2, 2.0, 0.6]), measuring.Times([0.1, 1.0, 0.2])
    assert mine.over(theirs) == 2.0
    assert mine.milliseconds == 600
    assert mine.spread == pytest.approx((400, 1300))


@pytest.mark.slow
def test_the_script_prints_tables_and_writes_json(repository: Path, tmp_path: Path) -> None:
    words = "--device cpu --precisions fp32,bf16 --only coverage --rounds 2"
    words += " --sizes 3x4,5x2 --length 3 --long 9x4 --tokens 12"
    done = subprocess.run(
        [sys.executable, str(repository / "benchmarks/attention.py"), *words.split(), "--json", "figures.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    headings = re.findall(r"^## (.*)$", done.stdout, flags=re.MULTILINE)
    assert headings == [
        f"{what}, cpu in {precision}"
        for precision in ("fp32", "bf16")
        for what in (
            "By itself: S = 3, T = 4, 3 sentences",
            "By itself: S = 5, T = 2, 6 sentences",
            "In an LSTM model: S = T = 3, 4 sentences",
            "Pooled memory: S = 9, T = 4, 3 sentences",
        )
    ]
    assert done.stdout.count("\n| coverage | ") == 6
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert all(figure["ms"] > 0 for figure in figures)
    updates = [figure for figure in figures if figure["of"] == "update" and figure["name"] == "luong_dot"]
    assert [figure["times_luong_dot"] for figure in updates] == [1.0] * 4
    pooled = {(figure["name"], figure["way"]) for figure in figures if figure["of"] == "pooling"}
    ways = {path.stem for path in (repository / "configs/pooling").glob("*.yaml")}
    models = ("lstm, bahdanau", "lstm, luong_general", "transformer, multihead")
    assert pooled == {(model, way) for model in models for way in ways}
