"""Attention figures: one map of a sentence pair, or a grid of maps, one per layer and head."""

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.reporting.figures import GRID, INK, MUTED, blank_figure, shown_as, text_width
from seq2seq.reporting.fonts import fonts_for

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

LARGEST_SIDE = 12.0  # inches
MOST_PIECES = 64  # shown per side; more would not be legible
LONGEST_TITLE = 100  # characters
STRETCH = 3.0  # the largest ratio of the sides of a grid's cell
CAPTION_WIDTH, CAPTION_HEIGHT = 1.05, 0.3  # inches around 'layer 1, head 2'

Part = tuple[slice, slice]  # rows, columns
Place = tuple[float, float, float, float]  # left, bottom, width, height in inches


def attention_figure(
    weights: np.ndarray, source: Sequence[str], target: Sequence[str], title: str
) -> "matplotlib.figure.Figure":
    """The attention weight of each target piece (row) on each source piece (column).

    Of a long pair a part is shown (see `_part`); the title says which. Shapes: weights [T S], each at least 0; T target
    pieces, S source pieces. Raises ValueError if they do not agree.
    """
    weights = _checked(weights, source, target)
    part = _part([weights])
    weights, columns, rows = weights[part], _labels(source[part[1]]), _labels(target[part[0]])
    cell = min(0.30, LARGEST_SIDE / max(weights.shape))
    size = min(10.0, max(5.0, 45 * cell))
    width, height = cell * len(columns), cell * len(rows)
    # All in inches, so that a figure is as large as its sentence: labels left and above, the scale at the right.
    left, slope = 0.2 + _widest(rows, size), _widest(columns, size)
    above, right = 0.2 + 0.9 * slope, max(0.9, 0.1 + 0.5 * slope)
    title = _with_part(title, part, len(source), len(target))
    figure = _titled(title, width=left + width + right, height=0.15 + height + above + 0.35)
    image = _map(figure, weights, (left, 0.15, width, height), largest=float(np.nanmax(weights)))
    _label_pieces(image.axes, columns, rows, size=size, cell=(cell, cell))
    scale = min(height, 2.5)
    _colour_scale(figure, image, (left + width + 0.15, 0.15 + height - scale, 0.1, scale))
    return figure


def attention_grid(
    layers: Sequence[np.ndarray], source: Sequence[str], target: Sequence[str], title: str
) -> "matplotlib.figure.Figure":
    """A map for each head (column) of each layer (row), all on one scale; only the outer maps have labels.

    Of a long pair a part is shown, the same in all maps. Shapes: of each layer weights [H T S]. Raises ValueError if
    they do not agree with the pieces.
    """
    maps = [[_checked(weights, source, target) for weights in heads] for heads in layers]
    part = _part([weights for heads in maps for weights in heads])
    maps = [[weights[part] for weights in heads] for heads in maps]
    columns, rows = _labels(source[part[1]]), _labels(target[part[0]])
    across = max(map(len, maps))
    largest_cell = LARGEST_SIDE / (across * len(columns)), LARGEST_SIDE / (len(maps) * len(rows))
    cell = min(0.16, largest_cell[0], STRETCH * largest_cell[1]), min(0.16, largest_cell[1], STRETCH * largest_cell[0])
    size = min(7.0, max(4.0, 50 * min(cell)))
    width, height = cell[0] * len(columns), cell[1] * len(rows)
    right, down = max(width + 0.15, CAPTION_WIDTH), height + CAPTION_HEIGHT  # from one map to the next
    left, slope = 0.2 + _widest(rows, size), _widest(columns, size)
    bottom, scale = 0.05, min(len(maps) * down - CAPTION_HEIGHT, 2.5)
    full_height = bottom + len(maps) * down + 0.2 + 0.9 * slope + 0.35
    title = _with_part(title, part, len(source), len(target))
    figure = _titled(title, width=left + across * right + max(0.8, 0.5 * slope), height=full_height)
    largest = max(float(np.nanmax(weights)) for heads in maps for weights in heads)
    for layer, heads in enumerate(maps):
        base = bottom + CAPTION_HEIGHT + (len(maps) - 1 - layer) * down
        for head, weights in enumerate(heads):
            image = _map(figure, weights, (left + head * right, base, width, height), largest=largest)
            named = (columns if layer == 0 else [], rows if head == 0 else [])
            _label_pieces(image.axes, *named, size=size, cell=cell)
            caption = {"fontsize": 8, "color": MUTED, "labelpad": 2}
            image.axes.set_xlabel(f"layer {layer + 1}, head {head + 1}", loc="left", **caption)
            image.axes.xaxis.set_label_position("bottom")
    top = bottom + len(maps) * down
    _colour_scale(figure, image, (left + across * right, top - scale, 0.1, scale))
    return figure


def _checked(weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float32)
    if weights.shape != (len(target), len(source)) or not weights.size:
        raise ValueError(f"weights of shape {weights.shape} for {len(target)} target and {len(source)} source pieces")
    return weights


def _part(maps: Sequence[np.ndarray]) -> Part:
    """Rows and columns to show: the first MOST_PIECES target pieces, and as many neighbouring source pieces, those with
    most of their weight."""
    looks = np.nan_to_num(np.stack(maps)[:, :MOST_PIECES]).sum((0, 1), dtype=np.float64)
    width = min(MOST_PIECES, len(looks))
    start = int(np.convolve(looks, np.ones(width), "valid").round(9).argmax())
    return slice(0, min(MOST_PIECES, len(maps[0]))), slice(start, start + width)


def _with_part(title: str, part: Part, sources: int, targets: int) -> str:
    """The title to show, with the range of pieces for each side that is cut."""
    ranges = [
        f"{name} pieces {piece.start + 1}–{piece.stop} of {count}"
        for name, piece, count in (("source", part[1], sources), ("target", part[0], targets))
        if piece.stop - piece.start < count
    ]
    note = f" ({', '.join(ranges)})" if ranges else ""
    return shown_as(title, longest=LONGEST_TITLE - len(note)) + note


def _labels(pieces: Sequence[str]) -> list[str]:
    """The labels of the pieces."""
    return [shown_as(piece, longest=18) for piece in pieces]


def _widest(labels: list[str], size: float) -> float:
    return max(text_width(label, size) for label in labels)


def _titled(title: str, *, width: float, height: float) -> "matplotlib.figure.Figure":
    """An empty figure of this size in inches, or wider if the title needs it."""
    figure = blank_figure(width=max(width, 0.3 + text_width(title, 11)), height=height)
    place = (0.15 / figure.get_figwidth(), 1 - 0.12 / height)
    figure.text(*place, title, fontsize=11, color=INK, va="top", parse_math=False, fontfamily=fonts_for([title]))
    return figure


def _map(figure: "matplotlib.figure.Figure", weights: np.ndarray, place: Place, *, largest: float) -> Any:
    """Weights as colours, without labels.

    Weights that sum to 1 over many positions are small: the scale ends at the largest, so that the map stays legible.
    """
    axes = figure.add_axes(_shares(figure, place))
    return axes.imshow(weights, cmap=_white_to_dark(), vmin=0.0, vmax=max(largest, 1e-6), aspect="auto")


def _shares(figure: "matplotlib.figure.Figure", place: Place) -> Place:
    """A place in shares of the figure, as matplotlib expects it."""
    width, height = figure.get_size_inches()
    return place[0] / width, place[1] / height, place[2] / width, place[3] / height


def _label_pieces(
    axes: "matplotlib.axes.Axes", columns: list[str], rows: list[str], *, size: float, cell: tuple[float, float]
) -> None:
    """Source pieces above the columns, target pieces left of the rows; `cell` is (width, height) in inches."""
    # If cells are smaller than the smallest letters, not all pieces get a label.
    across, down = (math.ceil(size / (72 * side)) for side in cell)
    style: dict[str, Any] = {"fontsize": size, "color": INK, "parse_math": False}
    style["fontfamily"] = fonts_for(columns + rows)
    axes.xaxis.tick_top()
    axes.set_xticks(range(0, len(columns), across), columns[::across], **style)
    axes.set_yticks(range(0, len(rows), down), rows[::down], **style)
    for label in axes.get_xticklabels():
        label.set(rotation=60, ha="left", va="bottom", rotation_mode="anchor")
    axes.tick_params(length=0, pad=4)
    axes.spines[:].set_color(GRID)
    if size == 10.0:
        axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=0.6)
        axes.tick_params(which="minor", length=0)


def _colour_scale(figure: "matplotlib.figure.Figure", image: Any, place: Place) -> None:
    """The colour bar."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=max(1, min(5, int(4 * place[3]))), steps=[1, 2, 5, 10])
    bar = figure.colorbar(image, cax=figure.add_axes(_shares(figure, place)), ticks=ticks)
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    bar.ax.spines[:].set_visible(False)


@cache
def _white_to_dark() -> Any:
    """matplotlib's perceptually uniform `magma`, reversed, its pale yellow end faded to white, for weights of 0."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps["magma_r"](np.linspace(0.0, 0.93, 256))[:, :3]
    share = np.clip(np.linspace(0.0, 4.0, 256), 0.0, 1.0)[:, None]
    return ListedColormap(share * colours + (1.0 - share), name="white_to_dark")
