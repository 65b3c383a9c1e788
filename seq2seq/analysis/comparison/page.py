"""A comparison as a page of Markdown: the table, its columns, and the commands that made it."""

import platform
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from seq2seq.analysis.comparison.differences import as_text, differently_chosen
from seq2seq.analysis.comparison.measured import train_command
from seq2seq.analysis.comparison.rows import Row
from seq2seq.config.command_line.program import command_line, program
from seq2seq.config.schema import CompareSettings, TrainSettings
from seq2seq.runtime.cores import usable_cores
from seq2seq.types import Part

WIDTH = 120
MARK = "≈"
COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {  # heading: the figure in Measured, and how it is written
    "valid NLL": ("valid_nll", "{:.3f}".format),
    "entropy": ("entropy", "{:.3f}".format),
    "parameters": ("parameters", "{:,.0f}".format),
    "ms/update": ("seconds_per_update", lambda seconds: f"{1000 * seconds:,.0f}"),
    "target tokens/s": ("tokens_per_second", "{:,.0f}".format),
    "peak MiB": ("peak_memory", "{:,.0f}".format),
}
LEGEND = [
    "*valid NLL*: nats per target token on the validation set, at the checkpoint that was evaluated.",
    "*entropy*: of the attention weights, as a share of the largest possible one (the log of the source's length); the "
    "mean over heads and target tokens of the last layer, the references given. 0: always one position; 1: uniform.",
    "*ms/update*, *target tokens/s*: medians of what training logged, validations not counted.",
    "*peak MiB*: the most memory that training held, its validations included. On a CPU that is the whole process, "
    "libraries included; on a GPU its tensors alone.",
]


def page(
    script: CompareSettings,
    settings: Sequence[TrainSettings],
    rows: Sequence[Row],
    common: Sequence[str],
    budget: dict[str, Any],
) -> str:
    """The whole page."""
    scored = rows[0].runs[0]
    compared = differently_chosen(settings)
    what = ", ".join(compared) or "settings"
    sections = [
        f"# Comparison: {what}",
        _wrapped(f"`{script.split}`, {scored.sentences:,} sentences. {_equal(settings[0], compared, budget)}"),
        table(rows, script.metric),
        *_wrapped_all([*_omitted(common), _ranking(rows, script.metric), _sizes(rows)]),
        "\n".join(_wrapped(f"- {line}", "  ") for line in LEGEND),
        "## How it was made",
        "\n".join(["```", *commands(script, settings), "```"]),
        _wrapped(f"Compared on {machine()}; scored on {_devices(rows)}. `{script.metric}` is `{scored.signature}`."),
    ]
    return "\n\n".join(sections) + "\n"


def table(rows: Sequence[Row], metric: str) -> str:
    """One line per row, best first."""
    heads = ["", "seeds", metric, "95% range", *COLUMNS]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for row in rows:
        low, high = row.range
        cells = [f"`{row.name}`" + f" {MARK}" * row.like_best, str(len(row.runs))]
        cells += [_mean(row.values("score"), "{:.2f}".format), f"{low:.2f} – {high:.2f}"]
        cells += [_mean(row.values(figure), written) for figure, written in COLUMNS.values()]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _mean(values: Sequence[float], written: Callable[[float], str]) -> str:
    """The mean, and the lowest and the highest if they differ; a dash for none."""
    if not values:
        return "–"
    low, high = written(min(values)), written(max(values))
    return written(fmean(values)) + (f" ({low} – {high})" if low != high else "")


def commands(script: CompareSettings, settings: Sequence[TrainSettings]) -> list[str]:
    """The commands that made the page: those that started the runs, each once, an evaluation, this comparison."""
    runs = ",".join(run.run for run in settings)
    evaluate = [f"run={runs}"] if len(settings) == 1 else ["-m", f"run={runs}"]
    split = [] if script.split == "test" else [f"split={script.split}"]
    train = dict.fromkeys(map(train_command, settings))
    return [*train, command_line("evaluate", [*evaluate, *split]), command_line("compare", script.typed)]


def machine() -> str:
    """The processor, its cores, the GPU if there is one, and the version of torch."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().split("\n") if line.startswith("model name")]
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    processor = names[0] if names else platform.processor() or platform.machine()
    return ", ".join([f"{usable_cores()} cores of {processor}", *gpu, f"torch {torch.__version__}"])


def _equal(settings: TrainSettings, compared: Sequence[str], budget: dict[str, Any]) -> str:
    """The common settings of all rows, as command-line arguments."""
    parts = [key for key, value in vars(settings).items() if isinstance(value, Part) and key not in compared]
    words = [f"{part}={settings.choices.get(part, 'custom')}" for part in parts]
    words += [
        f"{key}={as_text(value)}"
        for key, value in budget.items()
        if value is not None and (key == "tokenizer.vocab_size" or not key.startswith(("data.", "tokenizer.")))
    ]
    return "Equal in all rows: " + ", ".join(f"`{word}`" for word in words) + "."


def _omitted(common: Sequence[str]) -> list[str]:
    """The settings that are omitted from names, because most rows share them."""
    return [f"Unless a row says otherwise: {', '.join(f'`{word}`' for word in common)}."] if common else []


def _ranking(rows: Sequence[Row], metric: str) -> str:
    """How significant the order of the rows is."""
    seeds = "With several seeds a figure is their mean, the lowest and the highest in parentheses. "
    return (
        f"Rows are sorted by their mean {metric}. {seeds * any(len(row.runs) > 1 for row in rows)}A row's range "
        "goes from the lowest to the highest end of its seeds' 95% confidence intervals, so that both the choice "
        f"of test sentences and the seeds count. {MARK} marks the rows whose range overlaps that of the first: this "
        "table does not show that they differ from it, or from each other. A paired test of two runs is more "
        f"precise (`{program('evaluate')} run=ONE baseline=OTHER`)."
    )


def _sizes(rows: Sequence[Row]) -> str:
    """How unequal the models are in size."""
    middle = median(row.parameters for row in rows)
    furthest = max(rows, key=lambda row: abs(row.parameters - middle))
    deviation = furthest.parameters / middle - 1
    fewest, most = min(row.parameters for row in rows), max(row.parameters for row in rows)
    return (
        f"Parameters: {fewest:,} to {most:,}; furthest from the median of the rows is `{furthest.name}`, by "
        f"{deviation:+.1%}."
    )


def _devices(rows: Sequence[Row]) -> str:
    found = {f"{run.device} in {run.precision}" for row in rows for run in row.runs}
    return " and ".join(sorted(found))


def _wrapped_all(texts: Sequence[str]) -> list[str]:
    return [_wrapped(text) for text in texts]


def _wrapped(text: str, indent: str = "") -> str:
    """Lines as long as those of the other pages."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
