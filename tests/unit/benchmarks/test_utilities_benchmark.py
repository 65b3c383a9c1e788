"""The benchmark of minimum-risk utilities prints a line per utility, and compares what it measures."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture
def utilities(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/utilities.py."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import utilities

    return utilities


def test_it_prints_a_line_per_utility(utilities: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("Zwei Hunde spielen im Schnee.\nEin Mann\n\nliest\n")
    utilities.main([str(tmp_path / "text"), "--samples", "3", "--beam", "1", "--rounds", "1"])
    lines = capsys.readouterr().out.split("\n")
    assert [line.split(" | ")[0] for line in lines if re.search(r"\d \|$", line)] == ["| chrf", "| chrf++", "| bleu"]


def test_wrong_scores_are_detected(utilities: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text("Zwei Hunde spielen im Schnee.\n")
    monkeypatch.setattr(utilities, "pairwise_chrf", lambda left, right, order: torch.zeros(len(left), len(right)) + 2)
    with pytest.raises(AssertionError):
        utilities.main([str(tmp_path / "text"), "--samples", "2", "--rounds", "1"])
