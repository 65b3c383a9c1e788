"""What the utilities of minimum-risk search cost: python benchmarks/utilities.py TEXT [--sentences 20] [--samples 64].

For sentences of a text file, the scores of all candidates (the samples and --beam more) with all samples as references:
one call of sacreBLEU per pair, and all pairs at once, as the search computes them. The samples are the sentence with
some of its words replaced, left out or added. Markdown goes to stdout.
"""

import argparse
import gzip
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measuring import measure_times
from report import table
from sacrebleu.metrics import BLEU, CHRF

from seq2seq.analysis.comparison.page import machine
from seq2seq.search.pairwise_bleu import pairwise_bleu
from seq2seq.search.pairwise_chrf import pairwise_chrf

BLEU_METRIC = BLEU(effective_order=True)
NAIVE: dict[str, Any] = {"chrf": CHRF(), "chrf++": CHRF(word_order=2), "bleu": BLEU_METRIC}


def main(words: Sequence[str] | None = None) -> None:
    options = parse(words)
    opened = gzip.open if options.text.suffix == ".gz" else open
    with opened(options.text, "rt", encoding="utf-8", newline="\n") as file:
        sentences = [line.strip() for line in file if line.strip()]
    chosen = sentences[:: max(len(sentences) // options.sentences, 1)][: options.sentences]
    rng = random.Random(1)
    groups = [[varied(one, sentences, rng) for _ in range(options.samples + options.beam)] for one in chosen]
    print(f"{machine()}, {torch.get_num_threads()} threads. {len(chosen)} sentences, {options.samples} samples and")
    print(f"{options.beam} other candidates of each; milliseconds per sentence, medians of {options.rounds} rounds.\n")
    lines = []
    for name in NAIVE:
        pairs = [(texts, texts[: options.samples]) for texts in groups]
        for candidates, samples in pairs[:1]:
            torch.testing.assert_close(at_once(name, candidates, samples), one_by_one(name, candidates, samples))
        work = {
            "naive": lambda name=name, pairs=pairs: [one_by_one(name, *pair) for pair in pairs],
            "ours": lambda name=name, pairs=pairs: [at_once(name, *pair) for pair in pairs],
        }
        times = measure_times(work, options.rounds, torch.device("cpu"))
        each = [times[key].milliseconds / len(chosen) for key in work]
        lines.append([name, f"{each[0]:,.0f}", f"{each[1]:,.1f}", f"{times['naive'].over(times['ours']):,.0f}"])
    table(["utility", "a call of sacreBLEU per pair", "all pairs at once", "times faster"], lines)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="a text file, or one compressed with gzip")
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(words)


def varied(sentence: str, others: Sequence[str], rng: random.Random) -> str:
    """The sentence with up to four changes of a word."""
    words = sentence.split()
    for _ in range(rng.randint(0, 4)):
        place, other = rng.randrange(len(words)), rng.choice(rng.choice(others).split())
        words[place : place + rng.randint(0, 1)] = [other][: rng.randint(1 if len(words) == 1 else 0, 1)]
    return " ".join(words)


def one_by_one(name: str, candidates: Sequence[str], samples: Sequence[str]) -> torch.Tensor:
    scores = [[NAIVE[name].sentence_score(one, [other]).score / 100 for other in samples] for one in candidates]
    return torch.tensor(scores, dtype=torch.float64)


def at_once(name: str, candidates: Sequence[str], samples: Sequence[str]) -> torch.Tensor:
    if name == "bleu":
        words = {text: tuple(BLEU_METRIC._preprocess_segment(text).split()) for text in dict.fromkeys(candidates)}
        return pairwise_bleu([words[text] for text in candidates], [words[text] for text in samples])
    return pairwise_chrf(candidates, samples, 2 if name == "chrf++" else 0)


if __name__ == "__main__":
    main()
