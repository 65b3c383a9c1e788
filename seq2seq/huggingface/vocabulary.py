"""The vocabularies of a folder, of whichever family, as SentencePiece models whose ids are ours."""

from typing import Any

from seq2seq.errors import ConfigError
from seq2seq.huggingface import marian_vocabulary, mbart_vocabulary
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import Side, specification


def read_sides(folder: ModelFolder) -> tuple[Side, Side]:
    """The vocabularies of source and target; the same one twice for mBART. Raises ConfigError naming the file that is
    missing or cannot be used."""
    if _is_mbart(folder):
        side = mbart_vocabulary.read_side(folder)
        return side, side
    return marian_vocabulary.read_sides(folder)


def language_codes(folder: ModelFolder) -> list[str]:
    """The texts that name a language: before the source for MarianMT, before source and target for mBART."""
    return [*(mbart_vocabulary if _is_mbart(folder) else marian_vocabulary).language_codes(folder)]


def tokenizer_settings(folder: ModelFolder) -> tuple[str, dict[str, Any]]:
    """The choice of our tokenizer, and its arguments that the folder fixes. Raises ConfigError."""
    source, _ = read_sides(folder)
    file = mbart_vocabulary.MODEL if _is_mbart(folder) else marian_vocabulary.SOURCE
    known = specification(folder.bytes(file))
    kind = known.pop("model_type")
    if kind is None:
        raise ConfigError(f"{folder.path / file}: a SentencePiece model of words; unigram, bpe and char can be used")
    joint = _is_mbart(folder) or not marian_vocabulary.has_two_vocabularies(folder)
    return kind, {"vocab_size": len(source.rows), "joint": joint, **known}


def _is_mbart(folder: ModelFolder) -> bool:
    return folder.config.get("model_type") == "mbart"
