"""A trained vocabulary, and a run's pair of vocabularies: encode, decode, save, load."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from seq2seq.errors import CheckpointError
from seq2seq.files import flush_folder, read_bounded, read_json, write_flushed
from seq2seq.plain_types import BOS, EOS, PAD, UNK
from seq2seq.runtime.cores import usable_cores

SUMS = "sha256.json"  # stored with the models
LARGEST = 100_000_000  # bytes of a model; one of 250,000 pieces has five million


class Vocabulary:
    """A SentencePiece model. Ids 0 to 3 are padding, unknown, begin and end; `encode` does not add begin or end."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.processor = SentencePieceProcessor(model_proto=model)
        found = tuple(getattr(self.processor, name)() for name in ("pad_id", "unk_id", "bos_id", "eos_id"))
        if found != (PAD, UNK, BOS, EOS):
            raise ValueError(f"padding, unknown, begin and end must have the ids 0, 1, 2, 3, not {found}")

    @property
    def size(self) -> int:
        """The number of pieces, the four reserved ones included."""
        return self.processor.get_piece_size()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model."""
        return hashlib.sha256(self.model).hexdigest()

    @cached_property
    def symbols(self) -> dict[str, int]:
        """The pieces that are never split or merged, and their ids: the line break and the user's own."""
        model = ModelProto.FromString(self.model)
        return {piece.piece: index for index, piece in enumerate(model.pieces) if piece.type == piece.Type.USER_DEFINED}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's most likely segmentation, without begin and end."""
        rows = self.processor.encode(list(texts), num_threads=usable_cores()) if texts else []
        if self._has_unused:
            rows = [self._known(text) if UNK in row else row for text, row in zip(texts, rows, strict=True)]
        return rows

    @cached_property
    def _has_unused(self) -> bool:
        """Whether there are pieces that no text is segmented into: of an imported model those of the other side."""
        return any(map(self.processor.is_unused, range(self.size)))

    def _known(self, text: str) -> list[int]:
        """With ids for unknown characters which are one of the unused pieces."""
        return [self.processor.piece_to_id(piece) for piece in self.processor.encode(text, out_type=str)]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of ids; padding, begin and end are skipped.

        decode(encode(text)) is the text itself, except for the character U+2581, which becomes a space, and for
        characters outside the vocabulary without byte fallback.
        """
        return [self.processor.decode([i for i in row if i not in (PAD, BOS, EOS)]) for row in ids]

    def piece(self, index: int) -> str:
        r"""The piece of an id, for people to read: a space shows as U+2581, a line break as \n."""
        return self.processor.id_to_piece(index).replace("\n", "\\n")


class Tokenizer:
    """The vocabularies of source and target: the same object if `joint`."""

    def __init__(self, source: Vocabulary, target: Vocabulary) -> None:
        self.source = source
        self.target = target

    @property
    def joint(self) -> bool:
        """Whether source and target share one vocabulary."""
        return self.source is self.target

    @property
    def fingerprint(self) -> str:
        """A hash of the models."""
        return hashlib.sha256(f"{self.source.fingerprint} {self.target.fingerprint}".encode()).hexdigest()

    def target_start(self, prefix: str) -> tuple[int, ...]:
        """The ids of a prefix that targets begin with: it is segmented by itself, without the spaces at its end, which
        belong to the next word."""
        return tuple(self.target.encode([prefix.rstrip()])[0])

    def save(self, folder: Path) -> None:
        """Write joint.model, or source.model and target.model, and last the SHA-256 of each, flushed to the disk."""
        folder.mkdir(parents=True, exist_ok=True)
        sides = {"joint": self.source} if self.joint else {"source": self.source, "target": self.target}
        for name, vocabulary in sides.items():
            write_flushed(folder / f"{name}.model", vocabulary.model)
        sums = {f"{name}.model": vocabulary.fingerprint for name, vocabulary in sides.items()}
        write_flushed(folder / SUMS, (json.dumps(sums, indent=2) + "\n").encode())
        flush_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """What `save` wrote. Raises CheckpointError naming the file that is missing, damaged or changed."""
        sums = _sums(folder / SUMS)
        names = sums or (["joint.model"] if (folder / "joint.model").exists() else ["source.model", "target.model"])
        first, *second = (_load(folder / name, sums.get(name)) for name in names)
        return cls(first, second[0] if second else first)


def _sums(path: Path) -> dict[str, str]:
    """The SHA-256 of each model; none if an older version wrote them."""
    try:
        sums = read_json(path, 10_000)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}. Restore it from a copy.") from error
    if not isinstance(sums, dict) or [*sums] not in (["joint.model"], ["source.model", "target.model"]):
        raise CheckpointError(f"{path} is damaged: it does not list the models. Restore it from a copy.")
    return sums


def _load(path: Path, expected: str | None) -> Vocabulary:
    try:
        model = read_bounded(path, LARGEST)
        if expected is not None and hashlib.sha256(model).hexdigest() != expected:
            raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one in {SUMS}. Restore it from a copy.")
        return Vocabulary(model)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror or error}. A run keeps its tokenizer there."
        ) from error
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a tokenizer: {error}. Restore it from a copy.") from error
