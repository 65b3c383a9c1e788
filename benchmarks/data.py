"""How fast data are: python benchmarks/data.py [--pairs 1000000] [--json FILE].

Batches from the cache on one core, and text on its way into the cache: pairs prepared with a tokenizer that is already
trained, a quarter of them and all of them, each in a process of its own, so that memory which grows shows. Markdown
goes to stdout.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from contestants import Field, Figures, ours
from measuring import Sample, Times, Work, measure_times
from report import opening, rates, spread_text, surroundings, table, write_json
from tasks import TRANSFORMER, Task, add_options, task

from seq2seq.data.batches import collate, cut
from seq2seq.data.updates import PairIds, plan_epoch
from seq2seq.types import Pair

FIRST, AGAIN = "first time", "from the cache"


def main() -> None:
    options = parse()
    measured = surroundings(options)
    torch.set_num_threads(1)
    made = task(TRANSFORMER, options)
    opening("Data", measured, options, f"Medians of {options.rounds} rounds")
    measured["figures"] += batches(made, options)
    with tempfile.TemporaryDirectory() as folder:
        measured["figures"] += preparing(made, options, Path(folder))
    write_json(options.json, measured)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.set_defaults(rounds=3)
    parser.add_argument("--pairs", type=int, default=1_000_000, help="to prepare")
    return parser.parse_args(arguments)


def batches(made: Task, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A table of epochs made into batches, whole and stage by stage, in one thread."""
    corpus = made.data.corpora["train"]
    tokens = int(corpus.target_lengths.sum()) + len(corpus)
    times = measure_times(stages(made), options.rounds, torch.device("cpu"))
    print(f"\n## Batches from the cache: an epoch of {tokens:,} target tokens, one thread\n")
    lines = [[stage, f"{tokens / took.median:,.0f}", spread_text(took, ".3f")] for stage, took in times.items()]
    table(["stage", "target tokens/s", "seconds an epoch"], lines)
    return [batch_record(stage, took, tokens) for stage, took in times.items()]


def stages(made: Task) -> dict[str, Work]:
    """What the trainer does before it computes, each part over a whole epoch, and all of it one after the other."""
    corpus, trainer = made.data.corpora["train"], made.settings.trainer
    epochs = count()

    def plan() -> list[list[PairIds]]:
        lengths = corpus.source_lengths, corpus.target_lengths
        return plan_epoch(
            *lengths,
            seed=made.settings.seed,
            epoch=next(epochs),
            tokens_per_update=trainer.tokens_per_update,
            count=trainer.count,
        )

    def cut_all(updates: list[list[PairIds]]) -> list[PairIds]:
        return [rows for blocks in updates for rows in cut(corpus, blocks, trainer.tokens_per_batch)]

    def collate_all(every: list[PairIds]) -> None:
        for rows in every:
            collate(corpus, rows)

    planned = plan()
    ready = cut_all(planned)
    return {
        "plan, cut and collate": lambda: collate_all(cut_all(plan())),
        "plan": plan,
        "cut": lambda: cut_all(planned),
        "collate": lambda: collate_all(ready),
    }


def batch_record(stage: str, took: Times, tokens: int) -> dict[str, Any]:
    """A stage's figures, for other programs."""
    speed = {"target_tokens_per_second": tokens / took.median}
    return {"of": "batches", "stage": stage, **speed, "seconds": took.rounds, "quartiles_seconds": took.quartiles}


def preparing(made: Task, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A table of text made into ids: a quarter of the pairs and all, first without a cache and then with it."""
    made.data.tokenizer.save(folder / "tokenizer")
    sizes = dict.fromkeys((max(1, options.pairs // 4), options.pairs))
    turns: dict[tuple[int, str], list[Figures]] = {(pairs, way): [] for pairs in sizes for way in (FIRST, AGAIN)}
    for pairs in sizes:
        write_text(made.data.corpora["train"].pairs, pairs, folder)
    for pairs in [*sizes] * options.rounds:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            for way in (FIRST, AGAIN):
                turns[pairs, way].append(prepare_once(folder, pairs, cache, options))
    print(f"\n## Text prepared, the tokenizer at hand: {options.threads} threads\n")
    table(
        ["pairs", "", "seconds", "pairs/s", "target tokens/s", "peak MiB"], [line(*case, turns[case]) for case in turns]
    )
    return [{"of": "preparing", "pairs": pairs, "way": way, "turns": each} for (pairs, way), each in turns.items()]


def write_text(texts: Sequence[Pair], pairs: int, folder: Path) -> None:
    """So many pairs as two files."""
    paths = [folder / f"{pairs}.{side}" for side in ("source", "target")]
    with paths[0].open("w", encoding="utf-8") as sources, paths[1].open("w", encoding="utf-8") as targets:
        for source, target in islice(varied(texts), pairs):
            sources.write(source + "\n")
            targets.write(target + "\n")


def varied(texts: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """The pairs again and again, from the second time on with a number behind both sides: no two are the same."""
    for number in count():
        behind = f" ({number})" if number else ""
        for pair in texts:
            source, target = (" ".join(text.split("\n")) for text in (pair.source, pair.target))
            yield source + behind, target + behind


def prepare_once(folder: Path, pairs: int, cache: str, options: argparse.Namespace) -> Figures:
    """One process's figures."""
    texts = [str(folder / f"{pairs}.{side}") for side in ("source", "target")]
    contestant = ours("our_preparing.py", "", "", str(folder / "tokenizer"), cache, *texts)
    with Field([contestant], options.threads) as field:
        figures = field.round("go")
    if not figures:
        sys.exit("Nothing was measured.")
    return figures[contestant]


def line(pairs: int, way: str, turns: Sequence[Figures]) -> list[str]:
    """A row of the table."""
    seconds = Sample([turn["seconds"] for turn in turns])
    speed = [f"{rates(turns, what).median:,.0f}" for what in ("pairs", "target_tokens")]
    peak = max(turn["peak_mib"] for turn in turns)
    return [f"{pairs:,}", way, spread_text(seconds, ".2f"), *speed, f"{peak:,.0f}"]


if __name__ == "__main__":
    main()
