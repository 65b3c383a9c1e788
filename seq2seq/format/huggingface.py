"""Export for Hugging Face transformers: MarianMT (norm=post), or Pegasus with MarianMT's tokenizer (norm=pre)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file
from torch import nn

from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.problems import show
from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import by_length, collate_sources
from seq2seq.decoder.transformer import TransformerDecoder
from seq2seq.encoder.transformer import TransformerEncoder
from seq2seq.feed_forward.plain import PlainFeedForward
from seq2seq.format.base import Exported, Format
from seq2seq.format.huggingface_files import (
    FAMILIES,
    generation,
    model_configuration,
    tokenizer_configuration,
    vocabulary_files,
)
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.huggingface.tensors import exported
from seq2seq.inference.trained_model import TrainedModel, prefix_of
from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.normalizer.softmax import Softmax
from seq2seq.pooling.none import NoPooling
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.self_attention.full import FullSelfAttention
from seq2seq.types import BOS, EOS, PAD

PARTS: dict[str, tuple[type, str]] = {  # group: the one class that can be expressed, and its choice
    "encoder": (TransformerEncoder, "transformer"),
    "decoder": (TransformerDecoder, "transformer"),
    "attention": (MultiHeadAttention, "multihead"),
    "self_attention": (FullSelfAttention, "full"),
    "feed_forward": (PlainFeedForward, "plain"),
    "layer_norm": (LayerNorm, "layer"),
    "normalizer": (Softmax, "softmax"),
    "position": (SinusoidalPosition, "sinusoidal"),
    "pooling": (NoPooling, "none"),
    "generator": (SoftmaxGenerator, "softmax"),
}
TOKENS_PER_BATCH = 4096


class HuggingFace(Format):
    """config.json, model.safetensors, generation_config.json and the files of MarianTokenizer. Ids stay as they are."""

    extra: ClassVar[str] = "huggingface"
    packages: ClassVar[tuple[str, ...]] = ("transformers",)

    @classmethod
    def problems(cls, settings: TrainSettings, **arguments: Any) -> list[str]:
        """A line for each part or value that neither model has."""
        return [f"format=huggingface has no {line}" for line in _problems(settings)]

    def write(self, trained: TrainedModel, settings: TrainSettings, folder: Path) -> None:
        """The model's and the tokenizer's files."""
        tokenizer, separate = trained.tokenizer, not settings.tokenizer.arguments["joint"]
        depths = {side: getattr(settings, side).arguments["layers"] for side in ("encoder", "decoder")}
        family = FAMILIES[settings.encoder.arguments["norm"]]
        tensors = exported(model_tensors(trained.model), depths, tie=settings.tie, family=family)
        weights = folder / "model.safetensors"
        save_file(tensors, weights, metadata={"format": "pt"})
        for name, content in vocabulary_files(tokenizer, separate=separate).items():
            (folder / name).write_bytes(content)
        described = {
            "config.json": model_configuration(settings, tokenizer.source.size, tokenizer.target.size),
            "generation_config.json": generation(settings),
            "tokenizer_config.json": tokenizer_configuration(settings, separate=separate),
        }
        for name, values in described.items():
            (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with suppress(PermissionError):  # some file systems have no modes
            weights.chmod((folder / "config.json").stat().st_mode)  # safetensors makes files only the owner can read

    def exported(self, folder: Path) -> Exported:
        """The folder as transformers loads it."""
        from transformers import AutoModelForSeq2SeqLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        return Loaded(AutoModelForSeq2SeqLM.from_pretrained(folder).eval())


class Loaded:
    """A model of transformers; ids are ours."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model

    @torch.inference_mode()
    def greedy(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """By its `generate`; an output is cut at its sentence's limit, as each token depends on earlier ones only."""
        from transformers import GenerationConfig

        found: list[list[int]] = [[] for _ in sources]
        lengths = torch.tensor([max(len(source), limit) for source, limit in zip(sources, limits, strict=True)])
        for rows in by_length(lengths.numpy(), TOKENS_PER_BATCH):
            ids, mask = collate_sources([sources[row] for row in rows])
            self.model.generation_config = GenerationConfig(
                max_length=max(limits[row] for row in rows) + 2,  # the start token and the end symbol are counted
                do_sample=False,
                num_beams=1,
                bad_words_ids=[[PAD], [BOS]],
                pad_token_id=PAD,
                eos_token_id=EOS,
                decoder_start_token_id=BOS,
            )
            outputs = self.model.generate(input_ids=ids, attention_mask=mask.long())
            for row, output in zip(rows, outputs[:, 1:].tolist(), strict=True):
                ended = output.index(EOS) if EOS in output else len(output)
                found[row] = output[: min(ended, limits[row])]
        return found


def _problems(settings: TrainSettings) -> Iterator[str]:
    wrong = [group for group, (kind, _) in PARTS.items() if getattr(settings, group).target is not kind]
    for group in wrong:
        yield f"{group}={getattr(settings, group).name}: it can {PARTS[group][1]}"
    if wrong:
        return  # the values below are of those parts
    encoder, decoder = settings.encoder.arguments, settings.decoder.arguments
    for group in ("attention", "self_attention"):
        heads = getattr(settings, group).arguments["kv_heads"]
        if heads is not None:
            yield f"{group}.kv_heads={heads}: it can null"
    heads, size = settings.attention.arguments["heads"], settings.embedding.size
    if heads != decoder["heads"]:
        yield f"attention.heads={heads} with decoder.heads={decoder['heads']}: both must be alike"
    if size != encoder["hidden_size"]:
        yield f"embedding.size={size} with encoder.hidden_size={encoder['hidden_size']}: both must be alike"
    if prefix := prefix_of(settings, "target"):
        yield f"data.target_prefix={show(prefix)}: it can ''"
    if settings.embedding.norm:
        yield "embedding.norm=true: it can false"
    for key in ("hidden_size", "activation", "norm"):
        if encoder[key] != decoder[key]:
            yield f"encoder.{key}={show(encoder[key])} with decoder.{key}={show(decoder[key])}: both must be alike"
    if "deep" in (encoder["norm"], decoder["norm"]):
        yield "norm=deep: it can post (MarianMT) and pre (Pegasus)"
    if encoder["norm"] == "pre" and not settings.tokenizer.arguments["joint"]:
        yield "tokenizer.joint=false with norm=pre: it can true, or norm=post"
