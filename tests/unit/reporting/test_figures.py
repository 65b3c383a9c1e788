"""Curves show the values of metrics.jsonl; labels of pieces have printable characters only."""

import json
from pathlib import Path

import pytest

from seq2seq.reporting.figures import blank_figure, curves_figure, save, shown_as


@pytest.mark.parametrize(
    ("piece", "label"),
    [
        ("▁Haus", "▁Haus"),
        ("", "∅"),
        ("a\nb", "a\ufffdb"),
        ("\u200b", "\ufffd"),
        ("a\u2028b", "a\ufffdb"),
        ("\u0301a", "\u25cc\u0301a"),
        ("abcdefghijklmnopqr", "abcdefghijklmnopqr"),
        ("abcdefghijklmnopqrs", "abcdefghijklmnopq…"),
    ],
)
def test_the_label_of_a_piece(piece: str, label: str) -> None:
    assert shown_as(piece, longest=18) == label


def run_folder(folder: Path, *lines: dict) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "metrics.jsonl"


def drawn(axes) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines}


def test_the_curves_are_the_values_of_the_run(tmp_path: Path) -> None:
    path = run_folder(
        tmp_path / "mine",
        {"update": 10, "train/nll": 5.0},
        {"update": 20, "train/nll": None},
        {"update": 20, "valid/nll": 4.0, "valid/bleu": 7.5},
        {"update": 30, "train/nll": 3.0},
    )
    losses, scores = curves_figure(path).axes
    assert drawn(losses) == {"training": [(10, 5.0), (30, 3.0)], "validation": [(20, 4.0)]}
    assert drawn(scores) == {"mine": [(20, 7.5)]}
    assert scores.get_title(loc="left") == "BLEU on the validation set"


def test_several_runs_have_different_labels_and_colours(tmp_path: Path) -> None:
    lines = {"update": 10, "train/nll": 5.0, "valid/nll": 4.0, "valid/rougeL": 30.0}
    paths = [run_folder(tmp_path / name, lines) for name in ("one", "two")]
    losses, scores = curves_figure(paths, score="valid/rougeL").axes
    assert list(drawn(losses)) == ["training, one", "validation, one", "training, two", "validation, two"]
    assert len({line.get_color() for line in scores.lines}) == 2


def test_a_run_without_numbers_has_no_curves(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing to draw: no train/nll, valid/nll or valid/bleu in .*metrics.jsonl"):
        curves_figure(run_folder(tmp_path / "empty", {"update": 10, "train/lr": 0.1}))


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_file_ending_selects_the_format(tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"figure.{ending}"
    save(blank_figure(width=1.0, height=1.0), path)
    assert path.read_bytes().startswith(start)
