"""What a benchmark leaves: Markdown on stdout, and a file of JSON with every figure and what it was measured on."""

import argparse
import json
import os
import platform
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contestants import Contestant, Figures
from measuring import Sample

import seq2seq
from seq2seq.analysis.comparison.page import machine

PACKAGES = ("torch", "numpy", "sentencepiece", "safetensors")
WIDTH = 120
BUSY = 0.3  # of a core: more than that, and another program is in the way


def opening(title: str, measured: Mapping[str, Any], options: argparse.Namespace, what: str) -> None:
    """The page's heading, and a sentence on what was measured where; quartiles are in parentheses on all pages."""
    where = f"{measured['where']}, {options.threads} threads, {options.data}."
    text = f"{where} {what}; first and third quartile in parentheses."
    print(f"# {title}\n\n{textwrap.fill(text, WIDTH)}", flush=True)


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Markdown to stdout."""
    for cells in (heads, ["---", *["---:"] * (len(heads) - 1)], *lines):
        print("| " + " | ".join(cells) + " |", flush=True)


def spread_text(sample: Sample, form: str = ",.0f") -> str:
    """The median, and the quartiles in parentheses."""
    low, high = sample.quartiles
    return f"{sample.median:{form}} ({low:{form}} – {high:{form}})"


def rates(turns: Sequence[Figures], what: str) -> Sample:
    """So many a second, in each turn."""
    return Sample([turn[what] / turn["seconds"] for turn in turns])


def record(contestant: Contestant, turns: Sequence[Figures], what: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """One contestant's figures for other programs: `what` it did a second, whatever else is known, and every turn."""
    of = {"program": contestant.program, "model": contestant.model, "precision": contestant.precision}
    speed = rates(turns, what)
    return {**of, f"{what}_per_second": speed.median, "quartiles": speed.quartiles, **more, "turns": list(turns)}


def surroundings(options: argparse.Namespace) -> dict[str, Any]:
    """The first keys of the JSON file: the machine, its load before the measurement, the options, and no figures yet.

    A busy machine is reported on stderr.
    """
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"The machine is busy (load {load:.1f}): what follows is no measurement to quote.", file=sys.stderr)
    as_is = int | float | list
    plain = {name: value if isinstance(value, as_is) else str(value) for name, value in vars(options).items()}
    own = {"python": platform.python_version(), "seq2seq": seq2seq.__version__}
    versions = {"ours": own | {name: version(name) for name in PACKAGES}}
    where = {"where": machine(), "platform": platform.platform(), "load": load}
    return {**where, "options": plain, "versions": versions, "figures": []}


def write_json(file: Path | None, content: Mapping[str, Any]) -> None:
    """All of it, for other programs; nothing where no file is named."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
