"""What attention costs: python benchmarks/attention.py [--device cuda] [--sizes 10x10,30x30] [--json FILE].

Forward and backward of every attention in configs/attention, and of every normalizer: by itself, all steps at once and
step by step, compared with a naive version; inside a full LSTM model, compared with luong_dot. Last, what every pooling
saves in models that read long sources. Markdown goes to stdout.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from cases import REFERENCE, Choice, alone, choices, poolings, update
from measuring import Times, Work, measure_memory, measure_times
from report import table

from seq2seq.analysis.comparison.page import machine
from seq2seq.runtime.device import Runtime, choose_runtime, keep_freed_memory

WAYS = ("at once", "stepped", "naive")
ATTEND = ("after", "before")
LONG_READERS = (("lstm", "bahdanau"), ("lstm", "luong_general"), ("transformer", "multihead"))
LIMIT = 1.5  # times luong_dot: what an update with another mechanism should cost at most on a CPU


def main() -> None:
    options = parse()
    keep_freed_memory()
    wanted = options.only
    measured = [found for found in choices() if not wanted or found == Choice(REFERENCE) or found.attention in wanted]
    where = f"{machine()}, {torch.get_num_threads()} threads"
    figures = []
    print(f"# Cost of attention\n\n{where}. Forward and backward: medians of {options.rounds} rounds in which all take")
    print("turns, first and third quartile in parentheses. MiB: peak memory above that before the measurement.")
    for runtime in runtimes(options):
        for source, target in options.sizes:
            figures += measure_alone(measured, source, target, runtime, options)
        figures += measure_updates(measured, runtime, options)
        figures += measure_poolings(runtime, options)
    if options.json:
        options.json.write_text(json.dumps({"where": where, "figures": figures}, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precisions", type=words, help="fp32,bf16; usually fp32 and what is fast on the device")
    parser.add_argument("--only", type=words, help=f"these attentions and {REFERENCE}; usually all")
    parser.add_argument("--sizes", type=sizes, default=sizes("10x10,30x30,100x100"), help="SxT,SxT: source by target")
    parser.add_argument("--length", type=int, default=30, help="S = T in the whole model")
    parser.add_argument("--long", type=sizes, default=sizes("400x50"), help="SxT where poolings are tried")
    parser.add_argument("--tokens", type=int, default=2048, help="target positions of a batch: T times its sentences")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args()


def words(text: str) -> list[str]:
    return text.split(",")


def sizes(text: str) -> list[tuple[int, int]]:
    """[(10, 10), (30, 20)] for 10x10,30x20."""
    pairs = [size.split("x") for size in words(text)]
    return [(int(source), int(target)) for source, target in pairs]


def runtimes(options: argparse.Namespace) -> Iterator[Runtime]:
    """One a precision."""
    usual = ["fp32", choose_runtime(options.device, "auto").precision]
    for precision in dict.fromkeys(options.precisions or usual):
        yield choose_runtime(options.device, precision)


def measure_alone(
    measured: Sequence[Choice], source: int, target: int, runtime: Runtime, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """A table of the attentions by themselves."""
    rows = max(1, options.tokens // target)
    work: dict[tuple[str, str], Work] = {}
    for choice in measured:
        ways = alone(choice, rows, source, target, runtime)
        work |= {(str(choice), way): run for way, run in ways.items()}
    times, memory = measure(work, runtime, options)
    print(f"\n## By itself: S = {source}, T = {target}, {rows} sentences, {runtime.device} in {runtime.precision}\n")
    heads = ["attention", *(f"{way}, ms" for way in WAYS), "naive / at once", *(f"{way}, MiB" for way in WAYS)]
    table(heads, [alone_row(str(choice), times, memory) for choice in measured])
    size = {"source": source, "target": target, "sentences": rows}
    return records({"of": "attention", **size}, times, memory, runtime)


def alone_row(name: str, times: dict[tuple[str, str], Times], memory: dict[tuple[str, str], float]) -> list[str]:
    """One attention's line."""
    cases = [(name, way) for way in WAYS]
    naive = (name, "naive")
    ratio = f"{times[naive].over(times[name, 'at once']):.1f}" if naive in times else "–"
    return [name, *(time_text(times.get(case)) for case in cases), ratio, *(memory_text(memory.get(c)) for c in cases)]


def measure_updates(measured: Sequence[Choice], runtime: Runtime, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A table of whole models, forward and backward, and which of them cost more than they should."""
    rows = max(1, options.tokens // options.length)
    work = {
        (str(choice), attend): update(
            choice.settings(f"decoder.attend={attend}"), rows, options.length, options.length, runtime
        )
        for choice in measured
        for attend in ATTEND
    }
    times, memory = measure(work, runtime, options)
    ratios = {(name, attend): times[name, attend].over(times[REFERENCE, attend]) for name, attend in work}
    print(
        f"\n## In an LSTM model: S = T = {options.length}, {rows} sentences, {runtime.device} in {runtime.precision}\n"
    )
    heads = ["attention"]
    for attend in ATTEND:
        heads += [f"{attend} the cell, ms", f"times {REFERENCE}", "MiB"]
    lines = []
    for choice in measured:
        cases = [(str(choice), attend) for attend in ATTEND]
        cells = ([time_text(times[case]), f"{ratios[case]:.2f}", memory_text(memory[case])] for case in cases)
        lines.append([str(choice), *(cell for three in cells for cell in three)])
    table(heads, lines)
    over = [f"{name} {attend} the cell ({ratio:.2f})" for (name, attend), ratio in ratios.items() if ratio > LIMIT]
    print(f"\nMore than {LIMIT} times {REFERENCE}: {', '.join(over) or 'none'}.")
    size = {"source": options.length, "target": options.length, "sentences": rows}
    return records({"of": "update", **size}, times, memory, runtime, {f"times_{REFERENCE}": ratios})


def measure_poolings(runtime: Runtime, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A table a length of whole models that read long sources, forward and backward, with every pooling."""
    figures = []
    for source, target in options.long:
        rows = max(1, options.tokens // target)
        work = {
            (f"{parts}, {attention}", pooling): update(
                Choice(attention).settings(f"pooling={pooling}", parts=parts), rows, source, target, runtime
            )
            for parts, attention in LONG_READERS
            for pooling in poolings()
        }
        times, memory = measure(work, runtime, options)
        where = f"{runtime.device} in {runtime.precision}"
        print(f"\n## Pooled memory: S = {source}, T = {target}, {rows} sentences, {where}\n")
        ratios = {(name, pooling): times[name, pooling].over(times[name, "none"]) for name, pooling in work}
        heads = ["model", "pooling", "update, ms", "times none", "MiB"]
        lines = [[*case, time_text(times[case]), f"{ratios[case]:.2f}", memory_text(memory[case])] for case in work]
        table(heads, lines)
        size = {"source": source, "target": target, "sentences": rows}
        figures += records({"of": "pooling", **size}, times, memory, runtime, {"times_none": ratios})
    return figures


def measure(
    work: dict[tuple[str, str], Work], runtime: Runtime, options: argparse.Namespace
) -> tuple[dict[tuple[str, str], Times], dict[tuple[str, str], float]]:
    """Each case's times and its memory."""
    times = measure_times(work, options.rounds, runtime.device)
    return times, {case: measure_memory(run, runtime.device) for case, run in work.items()}


def records(
    of: dict[str, Any],
    times: dict[tuple[str, str], Times],
    memory: dict[tuple[str, str], float],
    runtime: Runtime,
    ratios: dict[str, dict[tuple[str, str], float]] | None = None,
) -> list[dict[str, Any]]:
    """Every figure, for other programs."""
    on = {"device": str(runtime.device), "precision": runtime.precision}
    return [
        {**of, **on, "name": name, "way": way, "ms": took.milliseconds, "quartiles_ms": took.spread}
        | {"mib": memory[name, way]}
        | {over: found[name, way] for over, found in (ratios or {}).items()}
        for (name, way), took in times.items()
    ]


def time_text(times: Times | None) -> str:
    if times is None:
        return "–"
    low, high = times.spread
    return f"{times.milliseconds:.2f} ({low:.2f} – {high:.2f})"


def memory_text(mib: float | None) -> str:
    return "–" if mib is None else f"{mib:.1f}"


if __name__ == "__main__":
    main()
