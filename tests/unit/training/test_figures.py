"""Attention figures name every piece and never fail on a letter; curves show what metrics.jsonl holds."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from seq2seq.training.figures import attention_figure, curves_figure, render, save, shown_as


def weights(targets: int, sources: int) -> np.ndarray:
    scores = np.random.default_rng(0).random((targets, sources))
    return scores / scores.sum(axis=1, keepdims=True)


def names(axis: str, figure) -> list[str]:
    axes = figure.axes[0]
    labels = axes.get_xticklabels() if axis == "x" else axes.get_yticklabels()
    return [label.get_text() for label in labels]


def test_sources_name_the_columns_and_targets_the_rows() -> None:
    given = weights(2, 3)
    figure = attention_figure(given, ["▁ein", "▁Haus", "."], ["▁a", "▁house"], "probe")
    assert names("x", figure) == ["▁ein", "▁Haus", "."]
    assert names("y", figure) == ["▁a", "▁house"]
    assert figure.axes[0].xaxis.get_ticks_position() == "top"
    (image,) = figure.axes[0].images
    assert np.allclose(image.get_array(), given)


@pytest.mark.parametrize(("targets", "sources"), [(1, 1), (1, 60), (60, 1), (7, 9), (120, 250)])
def test_every_label_is_inside_the_picture(targets: int, sources: int) -> None:
    figure = attention_figure(weights(targets, sources), ["▁Wort"] * sources, ["▁Übersetzung"] * targets, "a title")
    height, width, _ = render(figure).shape
    labels = [*figure.axes[0].get_xticklabels(), *figure.axes[0].get_yticklabels(), *figure.texts]
    boxes = [label.get_window_extent() for label in labels]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= width
    assert min(box.y0 for box in boxes) >= 0
    assert max(box.y1 for box in boxes) <= height
    assert max(height, width) < 2200


def test_neighbouring_labels_do_not_overlap() -> None:
    figure = attention_figure(weights(120, 250), ["▁Wort"] * 250, ["▁word"] * 120, "long")
    render(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    tops, bottoms = [box.y1 for box in boxes[1:]], [box.y0 for box in boxes[:-1]]
    assert all(top <= bottom + 1 for top, bottom in zip(tops, bottoms, strict=True))


@pytest.mark.parametrize(
    "piece",
    ["漢字", "नमस्ते", "\u0301", "שלום", "🙂", "$x^2_$", "\\frac{", "\ud800", "\x00", "\n", "", "\u200b", "a" * 500],
)
def test_no_piece_breaks_a_figure_or_warns(piece: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = render(attention_figure(weights(1, 2), [piece, "b"], [piece], piece))
    assert image.dtype == np.uint8
    assert image.std() > 0


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
def test_what_a_piece_is_shown_as(piece: str, label: str) -> None:
    assert shown_as(piece, longest=18) == label


@pytest.mark.parametrize(
    ("shape", "targets", "sources"), [((2, 3), 3, 2), ((2, 3), 2, 2), ((6,), 2, 3), ((0, 3), 0, 3)]
)
def test_weights_that_do_not_fit_the_pieces_are_refused(shape: tuple[int, ...], targets: int, sources: int) -> None:
    with pytest.raises(ValueError, match=f"{targets} target and {sources} source pieces"):
        attention_figure(np.zeros(shape), ["a"] * sources, ["b"] * targets, "")


def test_a_long_title_does_not_widen_the_picture_without_end() -> None:
    assert render(attention_figure(weights(1, 1), ["a"], ["b"], "a sentence " * 50)).shape[1] < 1400


def test_weights_of_zero_are_drawn() -> None:
    assert render(attention_figure(np.zeros((2, 2)), ["a", "b"], ["c", "d"], "no attention")).std() > 0


def run_folder(folder: Path, *lines: dict) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "metrics.jsonl"


def drawn(axes) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines}


def test_the_curves_are_the_numbers_of_the_run(tmp_path: Path) -> None:
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


def test_several_runs_are_told_apart(tmp_path: Path) -> None:
    lines = {"update": 10, "train/nll": 5.0, "valid/nll": 4.0, "valid/rougeL": 30.0}
    paths = [run_folder(tmp_path / name, lines) for name in ("one", "two")]
    losses, scores = curves_figure(paths, score="valid/rougeL").axes
    assert list(drawn(losses)) == ["training, one", "validation, one", "training, two", "validation, two"]
    assert len({line.get_color() for line in scores.lines}) == 2


def test_a_run_without_numbers_has_no_curves(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing to draw: no train/nll, valid/nll or valid/bleu in .*metrics.jsonl"):
        curves_figure(run_folder(tmp_path / "empty", {"update": 10, "train/lr": 0.1}))


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_is_saved_by_its_ending(tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"attention.{ending}"
    save(attention_figure(weights(1, 1), ["a"], ["b"], "one"), path)
    assert path.read_bytes().startswith(start)


def test_no_global_matplotlib_state_is_made() -> None:
    import matplotlib.pyplot

    render(attention_figure(weights(1, 1), ["a"], ["b"], "one"))
    assert matplotlib.pyplot.get_fignums() == []
