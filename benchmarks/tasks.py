"""What is trained and decoded: shapes as words for scripts/train.py, the data, and both in files for the peers."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.exchange import write_pairs, write_task

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.runtime.cores import usable_cores
from seq2seq.runtime.device import choose_runtime

WORK = Path(".cache/benchmarks")
TRANSFORMER = "transformer"
LSTMS = {
    "bahdanau": ("bahdanau", True),
    "luong": ("luong_general", True),
    "luong without feeding": ("luong_general", False),
}
COMMON = (
    "tokenizer=bpe tokenizer.vocab_size=8000 tokenizer.joint=true tie=all optimizer.lr=1e-3 schedule=inverse_sqrt "
    "schedule.warmup=400 trainer.tokens_per_update=4096 trainer.count=target"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that all benchmarks of trainings and runs have."""
    parser.add_argument("--data", default=usual_data(), help="a choice of configs/data; multi30k where it is at hand")
    parser.add_argument("--words", default="", help="more words for scripts/train.py, for ours alone but for the data")
    parser.add_argument("--width", type=int, default=256, help="of embeddings; the models grow with it")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every program")
    parser.add_argument("--rounds", type=int, default=5, help="in which all take turns")
    parser.add_argument("--json", type=Path, help="a file for all figures")


def add_peers(parser: argparse.ArgumentParser) -> None:
    """The options of benchmarks that also measure other toolkits (peers)."""
    parser.add_argument("--peers", choices=["auto", "none"], default="auto", help="none: ours alone")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="of ours")
    parser.add_argument("--precisions", type=precisions, help="fp32,bf16; usually fp32 and what is fast on the device")


def precisions(text: str) -> list[str]:
    """The names in a list like fp32,bf16."""
    names = text.split(",")
    if unknown := [name for name in names if name not in ("fp32", "bf16")]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are fp32 and bf16")
    return names


def chosen_precisions(options: argparse.Namespace) -> list[str]:
    """The precisions of --precisions; by default fp32 and what is fast on the device."""
    fast = choose_runtime(options.device, "auto").precision
    return options.precisions or list(dict.fromkeys(["fp32", fast]))


def usual_data() -> str:
    """Multi30k where SEQ2SEQ_DATA has it, else the embedded pairs, which anybody has."""
    root = os.environ.get("SEQ2SEQ_DATA", "")
    return "multi30k" if root and (Path(root) / "multi30k").is_dir() else "cldr"


@dataclass(frozen=True)
class Task:
    """A model to be trained on some data: the words that say so, the settings they make, the data prepared."""

    words: tuple[str, ...]
    settings: TrainSettings
    data: Prepared

    def folder(self, name: str) -> Path:
        """Where the peers find it: task.json and train.npz."""
        folder = WORK / name
        folder.mkdir(parents=True, exist_ok=True)
        write_task(folder, plain_task(self.settings, self.data.tokenizer.target.size))
        write_pairs(folder / "train.npz", self.data.corpora["train"])
        return folder


def task(model: str, options: argparse.Namespace) -> Task:
    """The task of this name, with the options' data and width."""
    shape = transformer(options.width) if model == TRANSFORMER else lstm(options.width, *LSTMS[model])
    words = last_ones([f"data={options.data}", *COMMON.split(), *shape.split(), *options.words.split()])
    settings = load_train(compose(CONFIGS, "train", words))
    data = prepare(data=settings.data(), tokenizer=settings.tokenizer(), length=settings.length, seed=settings.seed)
    return Task(words, settings, data)


def last_ones(words: Sequence[str]) -> tuple[str, ...]:
    """Of several words for one key the last."""
    return tuple({word.partition("=")[0]: word for word in words}.values())


def transformer(width: int, *, inner: int = 4, layers: int = 3) -> str:
    """Three layers a side, four heads; normalised after each block, as MarianMT is. `inner` is a multiple of width."""
    common = f"hidden_size={width} inner_size={inner * width} layers={layers} heads=4 norm=post dropout=0.1".split()
    sides = [f"{side}.{word}" for side in ("encoder", "decoder") for word in common]
    return f"encoder=transformer decoder=transformer attention=multihead embedding.size={width} " + " ".join(sides)


def lstm(width: int, attention: str, input_feeding: bool) -> str:
    """Two layers a side; it attends after the cell, as JoeyNMT does, whose additive attention is as wide as its
    decoder."""
    words = f"encoder=lstm decoder=lstm attention={attention} embedding.size={width} encoder.hidden_size={width}"
    words += f" encoder.layers=2 encoder.dropout=0.1 decoder.hidden_size={2 * width} decoder.layers=2"
    words += f" decoder.dropout=0.1 decoder.attend=after decoder.input_feeding={str(input_feeding).lower()}"
    return words + (f" attention.attn_dim={2 * width}" if attention == "bahdanau" else "")


def plain_task(settings: TrainSettings, vocabulary: int) -> dict[str, Any]:
    """What a peer needs to know to build and train the same."""
    return {
        "vocabulary": vocabulary,
        "embedding": settings.embedding.size,
        "dropout": settings.embedding.dropout,
        "encoder": settings.encoder.arguments,
        "decoder": settings.decoder.arguments,
        "attention": settings.attention.name,
        "label_smoothing": settings.objective.arguments["label_smoothing"],
        "lr": settings.optimizer.arguments["lr"],
        "clip_norm": settings.trainer.clip_norm,
        "tokens_per_update": settings.trainer.tokens_per_update,
        "seed": settings.seed,
    }
