"""An export format for tests: our own tensors, decoded by our own search; one argument makes it wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from safetensors.torch import load_file, save_file

from seq2seq.checkpoint.weights import load_model, model_tensors
from seq2seq.config.schema import TrainSettings
from seq2seq.format.base import Format
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch


class OwnFormat(Format):
    """`fault`: the export has other weights; `half`: it keeps them in 16 bits."""

    extra: ClassVar[str] = "own"
    packages: ClassVar[tuple[str, ...]] = ("safetensors",)

    def __init__(self, *, precision: Literal["full", "half"] = "full", fault: bool = False) -> None:
        self.precision = precision
        self.fault = fault

    @classmethod
    def problems(cls, settings: TrainSettings, **arguments: Any) -> list[str]:
        name = settings.encoder.name
        return [] if name == "lstm" else [f"format=own has no encoder={name}: it can lstm"]

    def lossless(self) -> "OwnFormat":
        return self if self.precision == "full" else OwnFormat(fault=self.fault)

    def write(self, trained: TrainedModel, settings: TrainSettings, folder: Path) -> None:
        OwnFormat.settings = settings
        tensors = {name: tensor.clone() for name, tensor in model_tensors(trained.model).items()}
        if self.fault:
            bias = tensors["generator.output.bias"]
            bias.copy_(torch.linspace(0, 30, len(bias)))
        kind = torch.float32 if self.precision == "full" else torch.float16
        save_file({name: tensor.to(kind) for name, tensor in tensors.items()}, folder / "model.safetensors")
        trained.tokenizer.save(folder / "tokenizer")

    def exported(self, folder: Path) -> "OwnExport":
        tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
        size = len(tensors["generator.output.bias"])
        model = build_model(OwnFormat.settings, source_vocab=size, target_vocab=size)
        load_model(model, tensors)
        return OwnExport(model)


class OwnExport:
    """Runs the tensors again."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def greedy(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        found = []
        for source, limit in zip(sources, limits, strict=True):
            search = GreedySearch(max_length=limit + 1, max_length_ratio=100.0)
            device = torch.device("cpu")
            found.append(decode(self.model, search, [source], device=device, tokens_per_batch=100)[0][0].tokens)
        return found
