"""Small trainings, each with another part of the trainer whose state must survive a kill."""

import random
from pathlib import Path

COMMON = [
    "run=it",
    "device=cpu",
    "precision=fp32",
    "data=files",
    *(f"data.{split}.{side}={split}.{side}" for split in ("train", "valid") for side in ("source", "target")),
    "preset=none",
    "cache_dir=cache",
    "tokenizer.vocab_size=300",
    "embedding.size=12",
    "encoder.hidden_size=8",
    "decoder.hidden_size=12",
    "encoder.dropout=0.3",
    "decoder.dropout=0.3",
    "search=greedy",
    "search.max_length=12",
    "optimizer.lr=5e-3",
    "schedule=constant",
    "trainer.tokens_per_update=400",
    "trainer.count=target",
    "trainer.tokens_per_batch=300",
    "trainer.log_every=1",
    "trainer.validate_every=4",
    "trainer.save_every=2",
    "trainer.keep_last=2",
    "trainer.average=2",
    "trainer.keep_best=2",
    "trainer.max_updates=10",
    "trainer.probes=1",
]
KINDS = {
    "dropout": [],
    "sampled segmentation, accumulation": ["tokenizer.sampling=0.1", "trainer.tokens_per_batch=60"],
    "minimum risk": ["objective=minimum_risk", "objective.max_length=12", "objective.samples=2"],
    "muon, moving average": ["optimizer=muon", "trainer.ema=0.9"],
    "plateau, patience": ["schedule=plateau", "schedule.patience=1", "trainer.patience=2", "optimizer.lr=5e-2"],
    "warm-up": ["schedule=linear", "schedule.warmup=3"],
    "Transformer": [
        *(f"{part}={choice}" for part, choice in (("encoder", "transformer"), ("decoder", "transformer"))),
        *(f"{side}.{key}" for side in ("encoder", "decoder") for key in ("heads=2", "inner_size=16", "layers=1")),
        *("attention=multihead", "attention.heads=2", "encoder.hidden_size=12", "decoder.hidden_size=12"),
    ],
}


def words(kind: str, *more: str) -> list[str]:
    """The arguments of train.py for a kind of training; of a key that is given twice the last value counts."""
    last = {word.partition("=")[0]: word for word in (*COMMON, *KINDS[kind], *more)}
    return list(last.values())


def write_texts(folder: Path) -> None:
    """Numbers in words, German and English, in the files of a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}
    rng = random.Random(0)
    for split, count in (("train", 200), ("valid", 12)):
        rows = [[rng.choice(list(numbers)) for _ in range(rng.randint(1, 5))] for _ in range(count)]
        for side, of in (("source", str), ("target", numbers.get)):
            lines = [" ".join(str(of(word)) for word in row) for row in rows]
            (folder / f"{split}.{side}").write_text("".join(line + "\n" for line in lines))
