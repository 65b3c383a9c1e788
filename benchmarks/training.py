"""How fast training is: python benchmarks/training.py [--models transformer,lstm] [--peers none] [--json FILE].

A Transformer against Hugging Face's MarianMT, LSTMs against JoeyNMT's: the same shape, the same token ids, about as
many target tokens per update. Each trains as its users train with it, and all take turns. Markdown goes to stdout.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from contestants import Contestant, Field, Figures, ours, peer, peers_wanted
from measuring import Sample
from report import opening, rates, record, spread_text, surroundings, table, write_json
from tasks import LSTMS, TRANSFORMER, Task, add_options, add_peers, chosen_precisions, task

FIELDS = {TRANSFORMER: [TRANSFORMER], "lstm": list(LSTMS)}  # what takes turns with one another
HEADS = ["program, model, precision", "target tokens/s", "source tokens/s", "updates", "target tokens an update"]
HEADS += ["padding", "peak MiB"]
ENDLESS = "trainer.max_updates=1000000 trainer.validate_every=1000000 trainer.save_every=1000000"


def main() -> None:
    options = parse()
    measured = surroundings(options)
    opening("Training", measured, options, f"Medians of {options.rounds} turns of {options.seconds:g} s")
    for name in options.models:
        with tempfile.TemporaryDirectory() as runs:
            turns, versions = race(contestants(name, options, Path(runs)), options)
        measured["versions"] |= versions
        measured["figures"] += report(name, turns)
    write_json(options.json, measured)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    add_peers(parser)
    parser.add_argument("--models", type=names, default=list(FIELDS), help="transformer, lstm, or both: a,b")
    parser.add_argument("--seconds", type=float, default=10, help="at least so long is a turn")
    parser.add_argument("--warm-up", type=float, default=20, help="seconds of the first turn, which does not count")
    parser.add_argument("--log-every", type=int, default=5, help="updates of ours between two of its log's entries")
    return parser.parse_args(arguments)


def names(text: str) -> list[str]:
    """The fields in a list like transformer,lstm."""
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in FIELDS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(FIELDS)}")
    return chosen


def contestants(name: str, options: argparse.Namespace, runs: Path) -> Iterator[Contestant]:
    """Who takes turns: ours in every model and precision, then the peers."""
    tasks = {model: task(model, options) for model in FIELDS[name]}
    precisions = chosen_precisions(options)
    for number, (precision, model) in enumerate(product(precisions, tasks)):
        words = [*tasks[model].words, *ENDLESS.split(), f"trainer.log_every={options.log_every}"]
        words += [f"device={options.device}", f"precision={precision}", f"run={runs}/{number}"]
        yield ours("our_training.py", model, precision, *words)
    if not peers_wanted(options.peers):
        return
    for model, made in tasks.items():
        yield from peers_of(model, made, precisions)


def peers_of(model: str, made: Task, precisions: Sequence[str]) -> Iterator[Contestant]:
    """MarianMT in fp32 and in autocast; JoeyNMT, which has no bf16 on a CPU: in fp32, with input feeding."""
    folder = str(made.folder(f"training-{model.replace(' ', '-')}").resolve())
    if model == TRANSFORMER:
        for precision in precisions:
            yield peer("Hugging Face", "marian_training.py", model, precision, folder, precision)
    elif made.settings.decoder.arguments["input_feeding"]:
        yield peer("JoeyNMT", "joeynmt_training.py", model, "fp32", folder)


def race(
    field: Iterator[Contestant], options: argparse.Namespace
) -> tuple[dict[Contestant, list[Figures]], dict[str, dict[str, str]]]:
    """Every contestant's turns, warmed up, and the versions of what they run on."""
    words = [str(options.warm_up), *[str(options.seconds)] * options.rounds]
    with Field(field, options.threads) as ready:
        figures = ready.rounds(words)
        if not figures:
            sys.exit("Nothing was measured.")
        return {contestant: turns[1:] for contestant, turns in figures.items()}, ready.versions


def report(name: str, turns: Mapping[Contestant, list[Figures]]) -> list[dict[str, Any]]:
    """The tables of one field, and its figures for other programs."""
    speed = {one: rates(each, "target_tokens") for one, each in turns.items()}
    print(f"\n## {name}\n")
    table(HEADS, [line(one, each, speed[one]) for one, each in turns.items()])
    if compared := list(comparisons(speed)):
        print()
        table(["", "times as fast as", "in target tokens/s"], compared)
    return [record(one, each, "target_tokens", {"padding": padding(each)}) for one, each in turns.items()]


def padding(turns: Sequence[Figures]) -> float:
    """The share of all positions, source and target, that is no token."""
    real = sum(turn["source_tokens"] + turn["target_tokens"] for turn in turns)
    return 1 - real / sum(turn["positions"] for turn in turns)


def line(contestant: Contestant, turns: Sequence[Figures], speed: Sample) -> list[str]:
    """A row of the table."""
    updates = sum(turn["updates"] for turn in turns)
    tokens = sum(turn["target_tokens"] for turn in turns)
    cells = [spread_text(speed), f"{rates(turns, 'source_tokens').median:,.0f}", f"{updates}"]
    cells += [f"{tokens / updates:,.0f}", f"{padding(turns):.1%}", f"{turns[-1]['peak_mib']:,.0f}"]
    return [str(contestant), *cells]


def comparisons(speed: Mapping[Contestant, Sample]) -> Iterator[list[str]]:
    """Each of ours against the peers of its model; the fastest precision against fp32, the LSTMs against luong."""
    for mine, other in product(speed, speed):
        if mine.program != "ours" or mine == other:
            continue
        same_model, same_precision = mine.model == other.model, mine.precision == other.precision
        if other.program != "ours":
            wanted = same_model
        else:
            wanted = (same_model and other.precision == "fp32") or (same_precision and other.model == "luong")
        if wanted:
            yield [str(mine), str(other), f"{speed[mine].over(speed[other]):.2f}"]


if __name__ == "__main__":
    main()
