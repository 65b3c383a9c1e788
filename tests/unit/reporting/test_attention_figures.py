"""Attention figures label every piece, fit their page and draw any character."""

import warnings

import numpy as np
import pytest

from seq2seq.reporting.attention_figures import attention_figure, attention_grid
from seq2seq.reporting.figures import render


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
def test_no_piece_raises_an_error_or_a_warning(piece: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = render(attention_figure(weights(1, 2), [piece, "b"], [piece], piece))
    assert image.dtype == np.uint8
    assert image.std() > 0


@pytest.mark.parametrize(
    ("shape", "targets", "sources"), [((2, 3), 3, 2), ((2, 3), 2, 2), ((6,), 2, 3), ((0, 3), 0, 3)]
)
def test_weights_that_do_not_fit_the_pieces_are_refused(shape: tuple[int, ...], targets: int, sources: int) -> None:
    with pytest.raises(ValueError, match=f"{targets} target and {sources} source pieces"):
        attention_figure(np.zeros(shape), ["a"] * sources, ["b"] * targets, "")


def test_a_long_title_widens_the_picture_only_a_little() -> None:
    assert render(attention_figure(weights(1, 1), ["a"], ["b"], "a sentence " * 50)).shape[1] < 1400


def test_weights_of_zero_are_drawn() -> None:
    assert render(attention_figure(np.zeros((2, 2)), ["a", "b"], ["c", "d"], "no attention")).std() > 0


def grid(targets: int, sources: int, layers: int, heads: int, piece: str = "▁Wort"):
    maps = [np.stack([weights(targets, sources)] * heads)] * layers
    return attention_grid(maps, [piece] * sources, [piece] * targets, "a title")


def test_the_grid_has_a_map_for_each_layer_and_head_on_one_scale() -> None:
    given = [np.stack([weights(2, 3), weights(2, 3) / 4]), np.stack([weights(2, 3) / 2, weights(2, 3)])]
    *maps, _ = attention_grid(given, ["a", "b", "c"], ["d", "e"], "probe").axes
    assert [axes.get_xlabel() for axes in maps] == [
        f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2)
    ]
    for axes, expected in zip(maps, [heads for layer in given for heads in layer], strict=True):
        (image,) = axes.images
        assert np.allclose(image.get_array(), expected)
        assert image.get_clim() == pytest.approx((0.0, weights(2, 3).max()))


def test_only_the_outer_maps_of_a_grid_label_the_pieces() -> None:
    first, second, below, corner, _ = grid(2, 3, layers=2, heads=2).axes
    named = [(len(axes.get_xticklabels()), len(axes.get_yticklabels())) for axes in (first, second, below, corner)]
    assert named == [(3, 2), (3, 0), (0, 2), (0, 0)]


@pytest.mark.parametrize(
    ("targets", "sources", "layers", "heads"), [(1, 1, 1, 2), (2, 3, 6, 8), (9, 7, 3, 1), (60, 90, 6, 8)]
)
def test_nothing_in_a_grid_overlaps_or_is_cut(targets: int, sources: int, layers: int, heads: int) -> None:
    figure = grid(targets, sources, layers, heads)
    height, width, _ = render(figure).shape
    captions = [axes.xaxis.label.get_window_extent() for axes in figure.axes[:-1]]
    labels = [label.get_window_extent() for label in (*names_of(figure.axes[0]), *figure.texts)]
    assert min(min(box.x0, box.y0) for box in [*captions, *labels]) >= 0
    assert max(box.x1 for box in [*captions, *labels]) <= width
    assert max(box.y1 for box in [*captions, *labels]) <= height
    maps = [axes.get_window_extent() for axes in figure.axes[:-1]]
    for place, box in enumerate(captions):
        assert not any(box.overlaps(other) for other in [*maps, *captions[place + 1 :]])
    assert max(height, width) < 2200


def names_of(axes) -> list:
    return [*axes.get_xticklabels(), *axes.get_yticklabels()]


def test_weights_that_do_not_fit_a_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="1 target and 3 source pieces"):
        attention_grid([np.zeros((2, 1, 2))], ["a"] * 3, ["b"], "")


def test_no_global_matplotlib_state_is_made() -> None:
    import matplotlib.pyplot

    render(attention_figure(weights(1, 1), ["a"], ["b"], "one"))
    render(grid(1, 1, layers=1, heads=2))
    assert matplotlib.pyplot.get_fignums() == []


def title_of(figure) -> str:
    (title,) = figure.texts
    return title.get_text()


@pytest.mark.parametrize(
    ("targets", "sources", "attended", "columns", "title"),
    [
        (3, 64, 10, (0, 64), "probe"),
        (3, 65, 10, (0, 64), "probe (source pieces 1–64 of 65)"),
        (3, 256, 10, (0, 64), "probe (source pieces 1–64 of 256)"),
        (3, 256, 200, (137, 201), "probe (source pieces 138–201 of 256)"),
        (3, 256, 255, (192, 256), "probe (source pieces 193–256 of 256)"),
        (100, 5, 2, (0, 5), "probe (target pieces 1–64 of 100)"),
        (100, 256, 0, (0, 64), "probe (source pieces 1–64 of 256, target pieces 1–64 of 100)"),
    ],
)
def test_of_a_long_pair_the_attended_part_is_shown(
    targets: int, sources: int, attended: int, columns: tuple[int, int], title: str
) -> None:
    given = np.zeros((targets, sources))
    given[:, attended] = 1.0
    pieces = [str(number) for number in range(sources)]
    for figure in (
        attention_figure(given, pieces, ["t"] * targets, "probe"),
        attention_grid([given[None]] * 2, pieces, ["t"] * targets, "probe"),
    ):
        (image,) = figure.axes[0].images
        assert np.array_equal(image.get_array(), given[:64, slice(*columns)])
        assert title_of(figure) == title
    one, _ = attention_figure(given, pieces, ["t"] * targets, "probe").axes
    assert one.get_xticklabels()[0].get_text() == str(columns[0])


def test_a_long_title_keeps_the_range_of_shown_pieces() -> None:
    title = title_of(attention_figure(np.eye(1, 256), ["a"] * 256, ["b"], "a sentence " * 50))
    assert title.endswith("… (source pieces 1–64 of 256)")
    assert len(title) == 100
