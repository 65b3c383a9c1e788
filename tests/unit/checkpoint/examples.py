"""Small checkpoints whose values depend on the step."""

from pathlib import Path

import torch
from torch import Tensor

from seq2seq.checkpoint import Checkpoint, RunFolder, save, save_validated


def tensors(step: int) -> dict[str, Tensor]:
    return {"w": torch.full((50, 10), float(step)), "n": torch.tensor(step)}


def put(run: RunFolder, *steps: int) -> None:
    for step in steps:
        save(run, step, {"model": tensors(step), "optimizer": {"exp_avg/w": tensors(-step)["w"]}}, {"step": step})


def validate(run: RunFolder, step: int, score: float) -> None:
    save_validated(run, step, {"step": step, "ranking": [float(score), -1.0]})


def names(run: RunFolder) -> list[str]:
    return sorted(entry.name for entry in run.checkpoints.iterdir())


def holds(found: Checkpoint, step: int) -> bool:
    return found.step == found.state["step"] == step and torch.equal(found.model["w"], tensors(step)["w"])


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    file.write_bytes(content)
