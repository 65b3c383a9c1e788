"""The vocabulary of a MarianMT folder.

Such a folder has a SentencePiece model for each side, and vocab.json with an id for each of their pieces. Pieces that
only the other side's model has are marked as unused, so that text is segmented as before.
"""

from collections.abc import Mapping

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import SPACE, Pieces, Side, Special, read_model, text_pieces

SOURCE, TARGET = "source.spm", "target.spm"


def read_sides(folder: ModelFolder) -> tuple[Side, Side]:
    """The vocabularies of source and target; with one vocabulary for both, an id is the same piece in both.

    Raises ConfigError naming the file that is missing or cannot be used.
    """
    config = folder.config
    source, target = (_model(folder, name) for name in (SOURCE, TARGET))
    if not has_two_vocabularies(folder):
        vocab = _vocab(folder, "vocab.json")
        pieces = _pieces(vocab, config["vocab_size"], _special(folder, vocab, "vocab.json"))
        pieces = pieces.with_unknown(text_pieces(source))
        return pieces.side(source, coded=True), pieces.side(target, coded=False, reads=False)
    sides = []
    for model, name, size_key in ((source, "vocab.json", "vocab_size"), (target, "target_vocab.json", None)):
        vocab = _vocab(folder, name)
        size = config[size_key] if size_key else config.get("decoder_vocab_size") or config["vocab_size"]
        pieces = _pieces(vocab, size, _special(folder, vocab, name))
        reads = size_key is not None
        pieces = pieces.with_unknown(text_pieces(model)) if reads else pieces
        sides.append(pieces.side(model, coded=reads, reads=reads))
    return sides[0], sides[1]


def has_two_vocabularies(folder: ModelFolder) -> bool:
    """Whether source and target have ids of their own."""
    return bool(folder.optional_json("tokenizer_config.json").get("separate_vocabs"))


def language_codes(folder: ModelFolder) -> list[str]:
    """The pieces >>fra<< that say which language the output is to have, each put before a source."""
    return [piece for piece in _vocab(folder, "vocab.json") if is_code(piece)]


def name_there(piece: str) -> str:
    """The name in vocab.json of a piece of ours: that of a language code has no space before it."""
    return piece.removeprefix(SPACE) if is_code(piece.removeprefix(SPACE)) else piece


def is_code(piece: str) -> bool:
    """Whether it looks like a language code."""
    return piece.startswith(">>") and piece.endswith("<<")


def _pieces(vocab: Mapping[str, int], size: int, special: Special) -> Pieces:
    return Pieces.of(vocab, size, special, [piece for piece in vocab if is_code(piece)])


def _special(folder: ModelFolder, vocab: Mapping[str, int], vocab_name: str) -> Special:
    """From config.json; raises ConfigError where vocab.json says otherwise."""
    config = folder.config
    ids: dict[str, int] = {}
    for key in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
        value = config.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{folder.path / 'config.json'}: {key}: expected a whole number, got {value!r}")
        ids[key] = value
    for name in ("<unk>", "</s>"):
        if name not in vocab:
            raise ConfigError(f"{folder.path / vocab_name} has no piece {name}")
    if vocab["</s>"] != ids["eos_token_id"]:
        raise ConfigError(
            f"{folder.path / 'config.json'}: eos_token_id={ids['eos_token_id']} is not the id of </s> in "
            f"{vocab_name}, {vocab['</s>']}"
        )
    return Special(ids["pad_token_id"], vocab["<unk>"], ids["decoder_start_token_id"], ids["eos_token_id"])


def _vocab(folder: ModelFolder, name: str) -> dict[str, int]:
    """The ids by piece; raises ConfigError."""
    vocab = folder.json(name)
    wrong = next((piece for piece, row in vocab.items() if not isinstance(row, int) or row < 0), None)
    if wrong is not None:
        raise ConfigError(f"{folder.path / name}: the id of {wrong!r} must be a whole number, got {vocab[wrong]!r}")
    return vocab


def _model(folder: ModelFolder, name: str) -> ModelProto:
    missing = f"of tokenizers that of MarianMT can be imported, which has {SOURCE}, {TARGET} and vocab.json"
    return read_model(folder, name, missing)
