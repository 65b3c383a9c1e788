"""JoeyNMT's own training of an LSTM, in turns: python joeynmt_training.py FOLDER (see exchange.py).

Its TrainManager trains, its loader reads text files: our token ids, written as words with spaces between, so that its
tokenizer has no more to do than to split. Shape and batch follow ours as far as it allows: its output layer cannot be
tied, for that needs embeddings as wide as the decoder; and it does not sort by length, so that a batch counted in
sentences holds the wanted number of real target tokens, and padding.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from exchange import Pairs, read_pairs, read_task
from joeynmt.config import parse_global_args, set_validation_args
from joeynmt.prediction import prepare
from joeynmt.training import TrainManager
from turns import Pace, Turns

ATTENTION = {"bahdanau": "bahdanau", "luong_general": "luong"}
NEVER = 10**9


def main() -> None:
    turns = Turns()
    given = Path(sys.argv[1])
    task, pairs = read_task(given), read_pairs(given / "train.npz")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_text(folder, pairs, task["vocabulary"])
        args = parse_global_args(configuration(folder, task, pairs), rank=0, mode="train")
        model, train_data, dev_data, _ = prepare(args, rank=0, mode="train")
        trainer = MeasuredManager(
            turns,
            model=model,
            model_dir=args.model_dir,
            device=args.device,
            rank=0,
            autocast=args.autocast,
            seed=args.seed,
            train_args=args.train,
            dev_args=set_validation_args(args.test),
        )
        trainer.train_and_validate(train_data=train_data, valid_data=dev_data)


def write_text(folder: Path, pairs: Pairs, vocabulary: int) -> None:
    """A line a sentence, ids as words; the vocabulary without the four symbols that JoeyNMT adds itself."""
    for name, sentences in (("src", pairs.sources()), ("trg", pairs.targets())):
        lines = [" ".join(map(str, ids)) for ids in sentences]
        write_lines(folder / f"train.{name}", lines)
        write_lines(folder / f"dev.{name}", lines[:1])  # there must be one, though it is never decoded
    write_lines(folder / "vocabulary", [str(token) for token in range(4, vocabulary)])


def write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def configuration(folder: Path, task: dict[str, Any], pairs: Pairs) -> dict[str, Any]:
    """What a user would write into its YAML file."""
    sides = {side: {"lang": side, "level": "word", "voc_file": str(folder / "vocabulary")} for side in ("src", "trg")}
    return {
        "name": "benchmark",
        "model_dir": str(folder),
        "use_cuda": False,
        "random_seed": task["seed"],
        "data": {"train": str(folder / "train"), "dev": str(folder / "dev"), "dataset_type": "plain", **sides},
        "testing": {},
        "training": training(task, pairs),
        "model": model(task),
    }


def training(task: dict[str, Any], pairs: Pairs) -> dict[str, Any]:
    return {
        "optimizer": "adam",
        "learning_rate": task["lr"],
        "scheduling": "warmupinversesquareroot",  # its plateau asks torch for an argument that is gone
        "learning_rate_warmup": 400,
        "learning_rate_min": 0.0,
        "clip_grad_norm": task["clip_norm"],
        "label_smoothing": task["label_smoothing"],
        "normalization": "tokens",
        "batch_type": "sentence",
        "batch_size": round(task["tokens_per_update"] / pairs.target_length()),
        "epochs": NEVER,
        "logging_freq": 100,
        "validation_freq": NEVER,
    }


def model(task: dict[str, Any]) -> dict[str, Any]:
    sides = {}
    for side in ("encoder", "decoder"):
        sides[side] = {
            "type": "recurrent",
            "rnn_type": "lstm",
            "embeddings": {"embedding_dim": task["embedding"], "dropout": task["dropout"]},
            "hidden_size": task[side]["hidden_size"],
            "num_layers": task[side]["layers"],
            "dropout": task[side]["dropout"],
        }
    sides["encoder"]["bidirectional"] = task["encoder"]["bidirectional"]
    sides["decoder"] |= {
        "attention": ATTENTION[task["attention"]],
        "input_feeding": task["decoder"]["input_feeding"],
        "hidden_dropout": task["decoder"]["dropout"],
        "init_hidden": "bridge",
    }
    return {"tied_embeddings": True, "tied_softmax": False, **sides}


class MeasuredManager(TrainManager):
    """Counts each batch; when the next one comes, its update is over: loaded, computed, clipped, stepped, logged."""

    def __init__(self, turns: Turns, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._turns = turns
        self._pace: Pace | None = None
        self._counts: dict[str, int] = {}

    def _train_step(self, batch: Any) -> tuple[float, int]:
        if self._pace is None:
            self._turns.ready("joeynmt", "torch", "numpy")
            self._pace = Pace(self._turns)
            self._pace.begin()
        else:
            self._pace.updated(**self._counts)
        self._counts = {
            "source_tokens": int(batch.src_length.sum()),
            "target_tokens": int(batch.ntokens),
            "positions": batch.src.numel() + batch.trg.numel(),
        }
        return super()._train_step(batch)


if __name__ == "__main__":
    main()
