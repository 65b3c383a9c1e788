"""The vocabulary of a MarianMT folder as SentencePiece models whose ids are ours.

Such a folder has a SentencePiece model for each side, and vocab.json with an id for each of their pieces. Here the
pieces of a model are put into a new order: our four reserved ones, then all of vocab.json. Pieces that only the other
side's model has are marked as unused, so that text is segmented as before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.plain_types import BOS, EOS, PAD, UNK

SPACE = "\u2581"  # SentencePiece's sign for a space
SOURCE, TARGET = "source.spm", "target.spm"
TYPES = ModelProto.SentencePiece.Type
TEXT_PIECES = (TYPES.NORMAL, TYPES.USER_DEFINED, TYPES.BYTE)  # that a text may be segmented into


@dataclass(frozen=True)
class Side:
    """One side's `model`, and for each of its pieces the row of the folder's embeddings that it has. `never` are ids
    without an output of their own: the model never gives them."""

    model: bytes
    rows: list[int]
    never: list[int]


@dataclass(frozen=True)
class Special:
    """The ids, in the folder, of padding, of unknown pieces, of what a target begins with, and of the end."""

    pad: int
    unk: int
    begin: int
    end: int

    @classmethod
    def of(cls, folder: ModelFolder, vocab: Mapping[str, int], vocab_name: str) -> "Special":
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
        return cls(ids["pad_token_id"], vocab["<unk>"], ids["decoder_start_token_id"], ids["eos_token_id"])


def read_sides(folder: ModelFolder) -> tuple[Side, Side]:
    """The vocabularies of source and target; with one vocabulary for both, an id is the same piece in both.

    Raises ConfigError naming the file that is missing or cannot be used.
    """
    config = folder.config
    source, target = (_model(folder, name) for name in (SOURCE, TARGET))
    if not has_two_vocabularies(folder):
        vocab = _vocab(folder, "vocab.json")
        pieces = _Pieces.of(vocab, config["vocab_size"], Special.of(folder, vocab, "vocab.json"))
        pieces = pieces.with_unknown(_text_pieces(source))
        return pieces.side(source, reads=True), pieces.side(target, reads=False)
    sides = []
    for model, name, size_key in ((source, "vocab.json", "vocab_size"), (target, "target_vocab.json", None)):
        vocab = _vocab(folder, name)
        size = config[size_key] if size_key else config.get("decoder_vocab_size") or config["vocab_size"]
        pieces = _Pieces.of(vocab, size, Special.of(folder, vocab, name))
        reads = size_key is not None
        sides.append((pieces.with_unknown(_text_pieces(model)) if reads else pieces).side(model, reads=reads))
    return sides[0], sides[1]


def has_two_vocabularies(folder: ModelFolder) -> bool:
    """Whether source and target have ids of their own."""
    return bool(folder.optional_json("tokenizer_config.json").get("separate_vocabs"))


def language_codes(folder: ModelFolder) -> list[str]:
    """The pieces >>fra<< that say which language the output is to have, each put before a source."""
    return [piece for piece in _vocab(folder, "vocab.json") if _is_code(piece)]


def specification(model: bytes) -> dict[str, Any]:
    """How a SentencePiece model was trained, in the names of our tokenizer's settings."""
    proto = ModelProto.FromString(model)
    trainer, kinds = proto.trainer_spec, type(proto.trainer_spec)
    kind = {kinds.UNIGRAM: "unigram", kinds.BPE: "bpe", kinds.CHAR: "char"}.get(trainer.model_type)
    known = {"character_coverage": round(trainer.character_coverage, 6), "byte_fallback": trainer.byte_fallback}
    if proto.normalizer_spec.name in ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"):
        known["normalization"] = proto.normalizer_spec.name
    return {"model_type": kind, **known}


@dataclass(frozen=True)
class _Pieces:
    """Our order of a vocabulary's pieces, with the row of each. The first four are reserved; then come `codes` language
    codes, the others, and `unknown` pieces that the folder's vocabulary lacks."""

    names: list[str]
    rows: list[int]
    codes: int
    unknown: int
    copied_begin: bool

    @classmethod
    def of(cls, vocab: Mapping[str, int], size: int, special: Special) -> "_Pieces":
        """Those of vocab.json, of whose `size` rows some may have no name."""
        by_row = {row: piece for piece, row in vocab.items() if row < size}
        shared = special.begin in (special.pad, special.unk, special.end)
        begin = None if shared else by_row.get(special.begin)
        if begin is None:
            begin = "<s>" if "<s>" not in vocab else "<begin>"
        reserved = ["<pad>", "<unk>", begin, "</s>"]
        rows = [special.pad, special.unk, special.begin, special.end]
        codes = [row for row, piece in sorted(by_row.items()) if _is_code(piece)]
        others = [row for row in range(size) if row not in {*rows, *codes}]
        names = [*reserved, *(SPACE + by_row[row] for row in codes)]
        names += [by_row.get(row, f"<row_{row}>") for row in others]
        return cls(names, [*rows, *codes, *others], len(codes), 0, shared)

    def with_unknown(self, pieces: Iterable[str]) -> "_Pieces":
        """With those of these pieces that have no row: each has that of <unk>, as which the folder's tokenizer reads
        it."""
        known = {*self.names, *(name.removeprefix(SPACE) for name in self.names[EOS + 1 : EOS + 1 + self.codes])}
        new = [piece for piece in pieces if piece not in known]
        rows = [*self.rows, *[self.rows[UNK]] * len(new)]
        return _Pieces([*self.names, *new], rows, self.codes, len(new), self.copied_begin)

    def side(self, proto: ModelProto, *, reads: bool) -> Side:
        """One side's model with these pieces; `reads`: the side of the sources, where language codes stand.

        Targets are never segmented into pieces without a row: the model would have to learn to write them.
        """
        own = {piece.piece: piece for piece in proto.pieces if piece.type in TEXT_PIECES}
        lowest = min((piece.score for piece in proto.pieces), default=0.0) - 1  # no merge of BPE prefers such a piece
        first_unknown = len(self.names) - self.unknown
        del proto.pieces[:]
        for index, name in enumerate(self.names):
            piece = proto.pieces.add(piece=name, score=lowest, type=TYPES.UNUSED)
            if index <= EOS:
                piece.score, piece.type = 0.0, TYPES.UNKNOWN if index == UNK else TYPES.CONTROL
            elif index <= EOS + self.codes:
                piece.score, piece.type = (0.0, TYPES.USER_DEFINED) if reads else (lowest, TYPES.UNUSED)
            elif name in own and (reads or index < first_unknown):
                piece.score, piece.type = own[name].score, own[name].type
        _name_reserved(proto, self.names)
        never = [BOS] * self.copied_begin + list(range(first_unknown, len(self.names)))
        return Side(proto.SerializeToString(), self.rows, never)


def _name_reserved(proto: ModelProto, names: Sequence[str]) -> None:
    spec = proto.trainer_spec
    spec.pad_id, spec.unk_id, spec.bos_id, spec.eos_id = PAD, UNK, BOS, EOS
    spec.pad_piece, spec.unk_piece, spec.bos_piece, spec.eos_piece = names[: EOS + 1]
    spec.vocab_size = len(names)
    del spec.input[:]  # paths of another machine


def name_there(piece: str) -> str:
    """The name in vocab.json of a piece of ours: that of a language code has no space before it."""
    return piece.removeprefix(SPACE) if _is_code(piece.removeprefix(SPACE)) else piece


def _is_code(piece: str) -> bool:
    return piece.startswith(">>") and piece.endswith("<<")


def _text_pieces(proto: ModelProto) -> list[str]:
    return [piece.piece for piece in proto.pieces if piece.type in TEXT_PIECES]


def _vocab(folder: ModelFolder, name: str) -> dict[str, int]:
    """The ids by piece; raises ConfigError."""
    vocab = folder.json(name)
    wrong = next((piece for piece, row in vocab.items() if not isinstance(row, int) or row < 0), None)
    if wrong is not None:
        raise ConfigError(f"{folder.path / name}: the id of {wrong!r} must be a whole number, got {vocab[wrong]!r}")
    return vocab


def _model(folder: ModelFolder, name: str) -> ModelProto:
    from google.protobuf.message import DecodeError

    if not (folder.path / name).is_file():
        raise ConfigError(
            f"init_from={folder.name}: there is no {folder.path / name}: of tokenizers that of MarianMT can be "
            f"imported, which has {SOURCE}, {TARGET} and vocab.json"
        )
    try:
        return ModelProto.FromString(folder.bytes(name))
    except DecodeError as error:
        raise ConfigError(f"{folder.path / name} is not a SentencePiece model") from error
