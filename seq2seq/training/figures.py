"""Figures of a run: attention over a sentence, and the curves of its metrics. No global matplotlib state is touched."""

import math
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.training.logbook import read_metrics

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

INK, MUTED, GRID = "#222222", "#6b6b6b", "#e4e4e4"
# Okabe and Ito's colours (2008), which colour-blind readers can tell apart too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# matplotlib brings DejaVu alone; where one of these is installed, it lends the letters that DejaVu lacks.
LENDING_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "IPAGothic", "Noto Sans Devanagari")
SCORE_NAMES = {"valid/bleu": "BLEU", "valid/chrf": "chrF", "valid/ter": "TER", "valid/rougeL": "ROUGE-L"}
# Control, format and surrogate characters, line ends and what is not a character at all.
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
LARGEST_SIDE = 12.0  # inches
SCREEN_DPI, PRINT_DPI = 90, 180  # TensorBoard shrinks large images without smoothing


def attention_figure(
    weights: np.ndarray, source: Sequence[str], target: Sequence[str], title: str
) -> "matplotlib.figure.Figure":
    """How much each target piece (row) looked at each source piece (column).

    Shapes: weights [T S], each at least 0; T target pieces, S source pieces. Raises ValueError if they do not agree.
    """
    weights = np.asarray(weights, dtype=np.float32)
    if weights.shape != (len(target), len(source)) or not weights.size:
        raise ValueError(f"weights of shape {weights.shape} for {len(target)} target and {len(source)} source pieces")
    title, columns, rows = shown_as(title, longest=100), _labels(source), _labels(target)
    cell = min(0.30, LARGEST_SIDE / max(weights.shape))
    size = min(10.0, max(5.0, 45 * cell))
    width, height = cell * len(columns), cell * len(rows)
    # All in inches, so that a figure is as large as its sentence: labels left and above, the scale at the right.
    left = 0.2 + max(_text_width(label, size) for label in rows)
    slope = max(_text_width(label, size) for label in columns)
    above, right = 0.2 + 0.9 * slope, max(0.9, 0.1 + 0.5 * slope)
    full_width = max(left + width + right, 0.3 + _text_width(title, 11))
    full_height = 0.15 + height + above + 0.35
    figure = _figure(width=full_width, height=full_height)
    axes = figure.add_axes((left / full_width, 0.15 / full_height, width / full_width, height / full_height))
    # Weights that sum to 1 over many positions are small: the scale ends at the largest, so that the map stays legible.
    image = axes.imshow(weights, cmap=_white_to_dark(), vmin=0.0, vmax=max(float(np.nanmax(weights)), 1e-6))
    _label_pieces(axes, columns, rows, size=size, cell=cell)
    scale = min(height, 2.5)
    corner = ((left + width + 0.15) / full_width, (0.15 + height - scale) / full_height)
    _colour_scale(figure, image, (*corner, 0.1 / full_width, scale / full_height))
    figure.text(
        0.15 / full_width,
        1 - 0.12 / full_height,
        title,
        fontsize=11,
        color=INK,
        va="top",
        parse_math=False,
        fontfamily=_fonts(),
    )
    return figure


def curves_figure(metrics: Path | Sequence[Path], *, score: str = "valid/bleu") -> "matplotlib.figure.Figure":
    """The negative log-likelihood of one or several runs and their validation score, against the updates.

    `metrics` names one or several metrics.jsonl, each in its run's folder; `score` is the tag of the right-hand panel.
    Raises ValueError if there is nothing to draw.
    """
    paths = [metrics] if isinstance(metrics, Path) else list(metrics)
    figure = _figure(width=10.0, height=3.7)
    figure.set_layout_engine("constrained", wspace=0.06)
    losses, scores = figure.subplots(1, 2, sharex=True)
    drawn = False
    for number, path in enumerate(paths):
        entries, run, color = read_metrics(path), path.resolve().parent.name, COLOURS[number % len(COLOURS)]
        of_run = f", {run}" if len(paths) > 1 else ""
        drawn |= _curve(losses, entries, "train/nll", label="training" + of_run, color=color, alpha=0.4)
        drawn |= _curve(losses, entries, "valid/nll", label="validation" + of_run, color=color)
        drawn |= _curve(scores, entries, score, label=run, color=color)
    if not drawn:
        raise ValueError(f"nothing to draw: no train/nll, valid/nll or {score} in {', '.join(map(str, paths))}")
    _dress(losses, "negative log-likelihood per target token (nats)")
    _dress(scores, f"{SCORE_NAMES.get(score, score)} on the validation set")
    return figure


def render(figure: "matplotlib.figure.Figure") -> np.ndarray:
    """The figure as an image: uint8 [height width 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with _missing_letters_are_boxes():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def save(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Write the figure to a file; its ending (png, svg, pdf) names the format."""
    with _missing_letters_are_boxes():
        figure.savefig(path, dpi=PRINT_DPI)


def shown_as(text: str, *, longest: int) -> str:
    """A text as a figure shows it: on one line, nothing invisible, no longer than there is room for."""
    shown = "".join("\ufffd" if unicodedata.category(c) in UNSEEN else c for c in text) or "∅"
    if unicodedata.combining(shown[0]):  # a combining mark needs something to stand on
        shown = "\u25cc" + shown
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _figure(*, width: float, height: float) -> "matplotlib.figure.Figure":
    """An empty figure (width and height in inches)."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=SCREEN_DPI)


def _labels(pieces: Sequence[str]) -> list[str]:
    """The pieces as they stand beside the map."""
    return [shown_as(piece, longest=18) for piece in pieces]


def _label_pieces(
    axes: "matplotlib.axes.Axes", columns: list[str], rows: list[str], *, size: float, cell: float
) -> None:
    """Source pieces above the columns, target pieces left of the rows; `cell` is a cell's width in inches."""
    every = math.ceil(size / (72 * cell))  # where a cell is smaller than the smallest letters, not all can be named
    style: dict[str, Any] = {"fontsize": size, "color": INK, "fontfamily": _fonts(), "parse_math": False}
    axes.xaxis.tick_top()
    axes.set_xticks(range(0, len(columns), every), columns[::every], **style)
    axes.set_yticks(range(0, len(rows), every), rows[::every], **style)
    for label in axes.get_xticklabels():
        label.set(rotation=60, ha="left", va="bottom", rotation_mode="anchor")
    axes.tick_params(length=0, pad=4)
    axes.spines[:].set_color(GRID)
    if size == 10.0:
        axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=0.6)
        axes.tick_params(which="minor", length=0)


def _colour_scale(figure: "matplotlib.figure.Figure", image: Any, place: tuple[float, float, float, float]) -> None:
    """What the colours stand for; `place` is (left, bottom, width, height) in shares of the figure."""
    from matplotlib.ticker import MaxNLocator

    inches = place[3] * figure.get_figheight()
    ticks = MaxNLocator(nbins=max(1, min(5, int(4 * inches))), steps=[1, 2, 5, 10])
    bar = figure.colorbar(image, cax=figure.add_axes(place), ticks=ticks)
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    bar.ax.spines[:].set_visible(False)


@cache
def _white_to_dark() -> Any:
    """matplotlib's perceptually uniform `magma`, reversed, its pale yellow end faded to white: no weight, no colour."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps["magma_r"](np.linspace(0.0, 0.93, 256))[:, :3]
    share = np.clip(np.linspace(0.0, 4.0, 256), 0.0, 1.0)[:, None]
    return ListedColormap(share * colours + (1.0 - share), name="white_to_dark")


def _text_width(text: str, size: float) -> float:
    """About how wide `text` is in inches, at `size` points: wide (East Asian) characters count for two."""
    letters = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return letters * size * 0.62 / 72


def _curve(
    axes: "matplotlib.axes.Axes", entries: list[dict[str, Any]], tag: str, *, label: str, color: str, alpha: float = 1.0
) -> bool:
    """Draw one tag over the updates, with a dot a point if they are few; False if the run has no number under it."""
    points = [(entry["update"], entry[tag]) for entry in entries if entry.get(tag) is not None]
    if not points:
        return False
    updates, values = zip(*points, strict=True)
    dots = "o" if len(points) <= 40 and alpha == 1.0 else ""
    axes.plot(updates, values, label=label, color=color, alpha=alpha, marker=dots, markersize=4, linewidth=1.8)
    return True


def _dress(axes: "matplotlib.axes.Axes", title: str) -> None:
    """Title, light grid, no box; a legend where there is more than one curve."""
    axes.set_title(title, fontsize=10.5, color=INK, loc="left")
    axes.set_xlabel("update", fontsize=9.5, color=MUTED)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=9, colors=MUTED, length=0)
    axes.xaxis.set_major_formatter(lambda update, _position: f"{update:,.0f}")
    axes.locator_params(axis="x", nbins=6, integer=True)
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


@cache
def _fonts() -> list[str]:
    """DejaVu Sans, then whatever is installed that has more letters."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in LENDING_FONTS if name in installed)]


@contextmanager
def _missing_letters_are_boxes() -> Iterator[None]:
    """A letter that no font has is drawn as a box, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing from.*")
        yield
