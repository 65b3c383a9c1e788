"""Generated text to train small tokenizers on."""

import random
from typing import Any

from seq2seq.tokenizer import SentencePiece

SYLLABLES = ["ka", "lo", "mi", "ter", "ung", "schä", "be", "ro", "an", "ö"]


def sentences(count: int, seed: int = 0) -> list[str]:
    """Sentences of made-up words, frequent ones and rare ones."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(120)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [" ".join(draw.choices(words, weights, k=draw.randint(3, 9))) + "." for _ in range(count)]


def settings(**given: Any) -> SentencePiece:
    """A small tokenizer's settings."""
    defaults = {"model_type": "bpe", "vocab_size": 320, "joint": True, "character_coverage": 1.0, "byte_fallback": True}
    defaults |= {"normalization": "identity", "sampling": 0.0, "training_lines": 10_000}
    return SentencePiece(**defaults | given)
