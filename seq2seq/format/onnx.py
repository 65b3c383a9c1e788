"""The encoder and one decoder step as ONNX graphs, for ONNX Runtime and other programs without PyTorch."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import by_length
from seq2seq.decoder.carrying import CarryingDecoder
from seq2seq.decoder.rnn import RnnDecoder
from seq2seq.decoder.transformer import TransformerDecoder
from seq2seq.format.base import Format
from seq2seq.format.onnx_exporter import quiet, save_graph
from seq2seq.format.onnx_graphs import EncoderGraph, StepGraph, for_one_hypothesis
from seq2seq.format.onnx_state import LONG, SENTENCES, Layout
from seq2seq.inference.trained_model import TrainedModel, prefix_of
from seq2seq.model.model import Model
from seq2seq.self_attention.full import FullSelfAttention
from seq2seq.types import BOS, EOS, PAD, UNK

ENCODER, STEP, CONFIG = "encoder.onnx", "decoder_step.onnx", "config.json"
TOKENS_PER_BATCH = 2048  # of the check

log = logging.getLogger(__name__)


class OnnxFormat(Format):
    """A folder with the graphs, config.json, which describes them, and the SentencePiece models in `tokenizer/`.

    `quantization` is how the large matrices are stored: int8 keeps the rest in float32.
    """

    extra: ClassVar[str] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript")

    def __init__(self, *, quantization: Literal["float32", "int8"] = "float32") -> None:
        self.quantization = quantization

    @classmethod
    def problems(cls, settings: TrainSettings, **arguments: Any) -> list[str]:
        """Decoders and self-attentions of a user's own, because their states are unknown; all of ours can be
        expressed."""
        decoder: Any = settings.decoder.target
        attention: Any = settings.self_attention.target
        if not issubclass(decoder, RnnDecoder | CarryingDecoder | TransformerDecoder):
            name = settings.decoder.name
            return [f"format=onnx has no decoder={name}: it can average, gru, lstm, ssru or transformer"]
        if not issubclass(decoder, TransformerDecoder) or issubclass(attention, FullSelfAttention):
            return []
        name = settings.self_attention.name
        return [f"format=onnx has no self_attention={name}: it can full, grouped_query, multi_query or windowed"]

    def lossless(self) -> "OnnxFormat":
        """In float32."""
        return self if self.quantization == "float32" else OnnxFormat()

    def write(self, trained: TrainedModel, settings: TrainSettings, folder: Path) -> None:
        """Both graphs, their description and the tokenizer."""
        log.info("tracing the encoder and the decoder")
        graphs = write_graphs(trained.model, folder)
        if self.quantization == "int8":
            for path in (folder / ENCODER, folder / STEP):
                _round_to_int8(path)
        trained.tokenizer.save(folder / "tokenizer")
        source, target = ("joint", "joint") if trained.tokenizer.joint else ("source", "target")
        limits = settings.search.arguments
        content = {
            **graphs,
            "tokenizer": {"source": f"tokenizer/{source}.model", "target": f"tokenizer/{target}.model"},
            "special": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
            "source_prefix": prefix_of(settings, "source"),
            "target_start": trained.target_start,
            "max_source": settings.length.max_source,
            "max_length": limits["max_length"],
            "max_length_ratio": limits["max_length_ratio"],
        }
        (folder / CONFIG).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def exported(self, folder: Path) -> "OnnxExport":
        """Run with as many threads as PyTorch has."""
        return OnnxExport(folder)


class OnnxExport:
    """An export on the CPU."""

    def __init__(self, folder: Path) -> None:
        from seq2seq.format.onnx_greedy import OnnxModel

        self.model = OnnxModel(folder, threads=torch.get_num_threads())

    def greedy(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """The greedy outputs, in batches of sentences of about the same length; an empty source has an empty one."""
        found: list[list[int]] = [[] for _ in sources]
        full = np.array([row for row, source in enumerate(sources) if source], dtype=np.int64)
        for batch in by_length(np.array([len(sources[row]) for row in full], dtype=np.int64), TOKENS_PER_BATCH):
            rows = full[batch].tolist()
            outputs = self.model.greedy([list(sources[row]) for row in rows], [limits[row] for row in rows])
            for row, output in zip(rows, outputs, strict=True):
                found[row] = output
        return found


def write_graphs(model: Model, folder: Path) -> dict[str, Any]:
    """Write both graphs; their inputs and outputs by name.

    The step comes first: the encoder computes only what it uses.
    """
    alone = for_one_hypothesis(model)
    with torch.no_grad():
        layout = Layout.of(alone)
    step = save_graph(
        folder / STEP,
        StepGraph(alone, layout),
        {
            "token": (torch.full((SENTENCES,), BOS), {0: "batch"}),
            "position": (torch.tensor(2), {}),
            **{name: (example, layout.axes[name]) for name, example in layout.examples.items()},
        },
        ["log_probs", *(f"next_{name}" for name in layout.changing)],
    )
    first = [name for name in layout.examples if name in step["inputs"]]
    encoder = save_graph(
        folder / ENCODER,
        EncoderGraph(alone, first),
        {"source": (torch.full((SENTENCES, LONG), EOS), {0: "batch", 1: "source_length"})},
        first,
    )
    return {"encoder": {"file": ENCODER, **encoder}, "decoder_step": {"file": STEP, **step}}


def _round_to_int8(path: Path) -> None:
    """The weights of the graph's matrix products in int8; inputs are rounded at run time."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    rounded = path.with_suffix(".int8")
    with quiet():
        quantize_dynamic(path, rounded, weight_type=QuantType.QInt8)
    rounded.replace(path)
