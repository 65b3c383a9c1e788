"""CTranslate2, a fast runtime for Transformers on CPUs and GPUs, with 8-bit and 16-bit weights: Klein et al. (2020),
Efficient and high-quality neural machine translation with OpenNMT."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import by_length
from seq2seq.format.base import Format
from seq2seq.format.ctranslate2_layers import model_spec
from seq2seq.format.ctranslate2_limits import problems
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import BOS, EOS, PAD, UNK

Quantization = Literal["float32", "float16", "bfloat16", "int16", "int8", "int8_float16", "int8_bfloat16"]
TOKENS_PER_BATCH = 2048  # of the check


class CTranslate2Format(Format):
    """A folder that `ctranslate2.Translator` opens, with the SentencePiece models in `tokenizer/`. Where targets begin
    with a prefix, config.json has its pieces: `target_prefix`, for the argument of that name.

    `quantization` is how the large matrices are stored; int8 keeps the rest in float32, int8_float16 in float16.
    Positions that are added to the inputs are written as a table of `max_length` rows: neither a source nor an output
    can have more tokens, the end symbol counted.
    """

    extra: ClassVar[str] = "ctranslate2"
    packages: ClassVar[tuple[str, ...]] = ("ctranslate2",)

    def __init__(self, *, quantization: Quantization = "float32", max_length: int = 1024) -> None:
        if max_length < 1:
            raise ValueError(f"format.max_length: expected 1 or more, got {max_length}")
        self.quantization: Quantization = quantization
        self.max_length = max_length

    @classmethod
    def problems(cls, settings: TrainSettings, **arguments: Any) -> list[str]:
        """What a Transformer of CTranslate2 does not have."""
        return problems(settings, arguments["max_length"])

    def lossless(self) -> "CTranslate2Format":
        """In float32."""
        return self if self.quantization == "float32" else CTranslate2Format(max_length=self.max_length)

    def write(self, trained: TrainedModel, settings: TrainSettings, folder: Path) -> None:
        """model.bin, config.json, the vocabularies as lists of pieces, and the SentencePiece models."""
        spec = model_spec(trained.model, self.max_length)
        spec.register_source_vocabulary(tokens_of(trained.tokenizer.source))
        spec.register_target_vocabulary(target := tokens_of(trained.tokenizer.target))
        spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = target[UNK], target[BOS], target[EOS]
        spec.config.decoder_start_token = target[BOS]
        spec.config.add_source_eos = True
        if start := trained.target_start:
            spec.config.add_attribute("target_prefix", [target[i] for i in start])
        spec.validate()
        spec.optimize(quantization=self.quantization)
        spec.save(str(folder))
        trained.tokenizer.save(folder / "tokenizer")

    def exported(self, folder: Path) -> "CTranslate2Export":
        """Run on one core."""
        return CTranslate2Export(folder)


class CTranslate2Export:
    """An export on the CPU, in the type of its weights or the nearest that the CPU has."""

    def __init__(self, folder: Path) -> None:
        import ctranslate2

        tokenizer = Tokenizer.load(folder / "tokenizer")
        self.source, self.target = tokens_of(tokenizer.source), tokens_of(tokenizer.target)
        self.ids = {token: i for i, token in enumerate(self.target)}
        self.start = json.loads((folder / "config.json").read_bytes()).get("target_prefix", [])
        self.translator = ctranslate2.Translator(str(folder), inter_threads=1, intra_threads=1)

    def greedy(self, sources: Sequence[Sequence[int]], limits: Sequence[int]) -> list[list[int]]:
        """The greedy outputs; longer ones than their limit are cut, which changes no token before it."""
        found: list[list[int]] = [[] for _ in sources]
        for rows in by_length(np.array([len(source) for source in sources]), TOKENS_PER_BATCH):
            results = self.translator.translate_batch(
                [[self.source[i] for i in sources[row]] for row in rows],
                beam_size=1,
                max_input_length=0,
                target_prefix=[self.start] * len(rows) if self.start else None,
                max_decoding_length=len(self.start) + max(1, *(limits[row] for row in rows)),
                min_decoding_length=0,
                suppress_sequences=[[self.target[PAD]], [self.target[BOS]]],
            )
            for row, result in zip(rows, results, strict=True):
                found[row] = [self.ids[token] for token in result.hypotheses[0][len(self.start) :]][: limits[row]]
        return found


def tokens_of(vocabulary: Vocabulary) -> list[str]:
    """The pieces by id; a piece that occurred before has its id appended, so that each names one token."""
    tokens: dict[str, int] = {}
    for i in range(vocabulary.size):
        piece = vocabulary.processor.id_to_piece(i)
        while piece in tokens:
            piece = f"{piece}#{i}"
        tokens[piece] = i
    return list(tokens)
