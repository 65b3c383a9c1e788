"""The curves of a run's metrics, and the common style of all figures. No global matplotlib state is touched."""

import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.logger.jsonl import read_metrics

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

INK, MUTED, GRID = "#222222", "#6b6b6b", "#e4e4e4"
# Okabe and Ito's colours (2008), which are distinguishable for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SCORE_NAMES = {"valid/bleu": "BLEU", "valid/chrf": "chrF", "valid/ter": "TER", "valid/rougeL": "ROUGE-L"}
# Unicode categories of control, format and surrogate characters, line ends and unassigned code points.
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
SCREEN_DPI, PRINT_DPI = 90, 180  # TensorBoard shrinks large images without smoothing


def curves_figure(metrics: Path | Sequence[Path], *, score: str = "valid/bleu") -> "matplotlib.figure.Figure":
    """The negative log-likelihood of one or several runs and their validation score, against the updates.

    `metrics` names one or several metrics.jsonl, each in its run's folder; `score` is the tag of the right-hand panel.
    Raises ValueError if there is nothing to draw.
    """
    paths = [metrics] if isinstance(metrics, Path) else list(metrics)
    figure = blank_figure(width=10.0, height=3.7)
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


def blank_figure(*, width: float, height: float) -> "matplotlib.figure.Figure":
    """An empty figure (width and height in inches)."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=SCREEN_DPI)


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
    """A text as a figure shows it: on one line, without invisible characters, cut to `longest` characters."""
    shown = "".join("\ufffd" if unicodedata.category(c) in UNSEEN else c for c in text) or "∅"
    if unicodedata.combining(shown[0]):  # a combining mark needs a base character
        shown = "\u25cc" + shown
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def text_width(text: str, size: float) -> float:
    """About how wide `text` is in inches, at `size` points: wide (East Asian) characters count for two."""
    letters = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return letters * size * 0.62 / 72


def _curve(
    axes: "matplotlib.axes.Axes", entries: list[dict[str, Any]], tag: str, *, label: str, color: str, alpha: float = 1.0
) -> bool:
    """Draw the values of a tag against the updates, with dots if they are few; False if the run has none."""
    points = [(entry["update"], entry[tag]) for entry in entries if entry.get(tag) is not None]
    if not points:
        return False
    updates, values = zip(*points, strict=True)
    dots = "o" if len(points) <= 40 and alpha == 1.0 else ""
    axes.plot(updates, values, label=label, color=color, alpha=alpha, marker=dots, markersize=4, linewidth=1.8)
    return True


def _dress(axes: "matplotlib.axes.Axes", title: str) -> None:
    """Title, light grid, no box; a legend if there is more than one curve."""
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


@contextmanager
def _missing_letters_are_boxes() -> Iterator[None]:
    """A letter that no font has is drawn as a box, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing from.*")
        yield
