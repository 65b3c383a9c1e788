"""Ours, in turns: python benchmarks/our_preparing.py TOKENIZER CACHE SOURCE TARGET: text files made into cached ids."""

import resource
import sys
import time
from pathlib import Path

from peers.turns import Turns, peak_mib
from report import PACKAGES

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.data.prepare import prepare
from seq2seq.tokenizer import Tokenizer


def main() -> None:
    turns = Turns()
    tokenizer, cache, source, target = sys.argv[1:]
    sides = (("source", source), ("target", target))
    files = [f"data.{split}.{side}={file}" for split in ("train", "valid") for side, file in sides]
    settings = load_train(compose(CONFIGS, "train", ["data=files", *files]))
    trained = Tokenizer.load(Path(tokenizer))
    turns.ready(*PACKAGES)
    while turns.wait():
        began = time.perf_counter()
        data = prepare(
            data=settings.data(),
            tokenizer=settings.tokenizer(),
            length=settings.length,
            seed=settings.seed,
            cache=Path(cache),
            splits=["train"],
            trained=trained,
        )
        seconds = time.perf_counter() - began
        corpus = data.corpora["train"]
        tokens = int(corpus.target_lengths.sum()) + len(corpus)
        peaks = {"peak_mib": peak_mib(), "workers_mib": peak_mib(resource.RUSAGE_CHILDREN)}
        turns.answer(seconds=seconds, pairs=len(corpus), target_tokens=tokens, **peaks)


if __name__ == "__main__":
    main()
