"""The vocabulary of a folder as a SentencePiece model whose ids are ours: the reserved pieces, then language codes,
then the others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.plain_types import BOS, EOS, PAD, UNK

SPACE = "\u2581"  # SentencePiece's sign for a space
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


@dataclass(frozen=True)
class Pieces:
    """Our order of a vocabulary's pieces, with the row of each. The first four are reserved; then come `codes` language
    codes, the others, and `unknown` pieces that the folder's vocabulary lacks."""

    names: list[str]
    rows: list[int]
    codes: int
    unknown: int
    copied_begin: bool

    @classmethod
    def of(cls, vocab: Mapping[str, int], size: int, special: Special, codes: Collection[str]) -> "Pieces":
        """Those of `vocab`, whose values are rows; of the `size` rows some may have no name."""
        by_row = {row: piece for piece, row in vocab.items() if row < size}
        shared = special.begin in (special.pad, special.unk, special.end)
        begin = None if shared else by_row.get(special.begin)
        if begin is None:
            begin = "<s>" if "<s>" not in vocab else "<begin>"
        reserved = ["<pad>", "<unk>", begin, "</s>"]
        rows = [special.pad, special.unk, special.begin, special.end]
        coded = [row for row, piece in sorted(by_row.items()) if piece in codes]
        others = [row for row in range(size) if row not in {*rows, *coded}]
        names = [*reserved, *(SPACE + by_row[row] for row in coded)]
        names += [by_row.get(row, f"<row_{row}>") for row in others]
        return cls(names, [*rows, *coded, *others], len(coded), 0, shared)

    def with_unknown(self, pieces: Iterable[str]) -> "Pieces":
        """With those of these pieces that have no row: each has that of <unk>, as which the folder's tokenizer reads
        it."""
        known = {*self.names, *(name.removeprefix(SPACE) for name in self.names[EOS + 1 : EOS + 1 + self.codes])}
        new = [piece for piece in pieces if piece not in known]
        rows = [*self.rows, *[self.rows[UNK]] * len(new)]
        return Pieces([*self.names, *new], rows, self.codes, len(new), self.copied_begin)

    def side(self, proto: ModelProto, *, coded: bool, reads: bool = True) -> Side:
        """One side's model with these pieces. `coded`: its texts begin with language codes, each of which is one piece.

        `reads`: text may be segmented into pieces without a row. Targets are not: the model would have to learn to
        write them.
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
                piece.score, piece.type = (0.0, TYPES.USER_DEFINED) if coded else (lowest, TYPES.UNUSED)
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


def specification(model: bytes) -> dict[str, Any]:
    """How a SentencePiece model was trained, in the names of our tokenizer's settings."""
    proto = ModelProto.FromString(model)
    trainer, kinds = proto.trainer_spec, type(proto.trainer_spec)
    kind = {kinds.UNIGRAM: "unigram", kinds.BPE: "bpe", kinds.CHAR: "char"}.get(trainer.model_type)
    known = {"character_coverage": round(trainer.character_coverage, 6), "byte_fallback": trainer.byte_fallback}
    if proto.normalizer_spec.name in ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"):
        known["normalization"] = proto.normalizer_spec.name
    return {"model_type": kind, **known}


def text_pieces(proto: ModelProto) -> list[str]:
    """The pieces that a text may be segmented into."""
    return [piece.piece for piece in proto.pieces if piece.type in TEXT_PIECES]


def read_model(folder: ModelFolder, name: str, missing: str) -> ModelProto:
    """A SentencePiece model of the folder; raises ConfigError, which says `missing` where there is none."""
    from google.protobuf.message import DecodeError

    if not (folder.path / name).is_file():
        raise ConfigError(f"init_from={folder.name}: there is no {folder.path / name}: {missing}")
    try:
        return ModelProto.FromString(folder.bytes(name))
    except DecodeError as error:
        raise ConfigError(f"{folder.path / name} is not a SentencePiece model") from error
