"""Runs of a few seconds on the embedded data, and their stored weights."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import EvaluateSettings, TrainSettings

SMALL = [
    "device=cpu",
    "precision=fp32",
    "data.train=300",
    "data.valid=12",
    "data.test=12",
    "tokenizer=unigram",
    "tokenizer.vocab_size=600",
    "embedding.size=12",
    "encoder.hidden_size=8",
    "decoder.hidden_size=12",
    "search=greedy",
    "search.max_length=12",
    "optimizer.lr=1e-3",
    "schedule=constant",
    "trainer.tokens_per_update=500",
    "trainer.count=target",
    "trainer.tokens_per_batch=300",
    "trainer.log_every=2",
    "trainer.validate_every=4",
    "trainer.save_every=4",
    "trainer.max_updates=12",
    "trainer.probes=0",
]


@cache
def settings(run: str, *words: str) -> TrainSettings:
    """Settings of a small run; if a key is given twice, the last value counts."""
    last = {word.split("=")[0]: word for word in (*SMALL, *words, f"run={run}")}
    return load_train(compose(CONFIGS, "train", list(last.values())))


def evaluate_settings(run: str, **given: Any) -> EvaluateSettings:
    """Settings of evaluate.py: without confidence intervals and baselines, unless `given`."""
    usual = {"split": "test", "checkpoint": "best", "baseline": None, "baselines": "none", "bootstrap": 0}
    return EvaluateSettings(run=run, **{**usual, "shortlist": None, "ensemble": [], "changed": {}, **given})


def weights(run: str, step: int) -> dict[str, torch.Tensor]:
    folder = Path("runs", run, "checkpoints", f"step-{step}")
    return load_file(folder / "model.safetensors") | load_file(folder / "optimizer.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
