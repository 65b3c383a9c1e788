"""Which pieces belong to which words: from SentencePiece's offsets and the whitespace-separated words of a text."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sentencepiece.sentencepiece_pb2 import SentencePieceText  # type: ignore[attr-defined]

from seq2seq.tokenizer import Vocabulary
from seq2seq.types import BOS, EOS, PAD

WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Segmented:
    """A text as a model reads or writes it.

    `ids` has no end symbol; `pieces[w]` are the positions in `ids` of `words[w]`, none if the word is cut off or
    normalised away.
    """

    text: str
    ids: list[int]
    words: list[str]
    pieces: list[list[int]]

    def membership(self) -> Float[np.ndarray, "S w"]:
        """The share of each piece that belongs to each word; the last row and column are the end symbol.

        A row of zeros belongs to no word: a repeated space. A piece with parts of two words (over a no-break space)
        belongs half to each.
        """
        belongs = np.zeros((len(self.ids) + 1, len(self.words) + 1))
        belongs[-1, -1] = 1.0
        for word, pieces in enumerate(self.pieces):
            belongs[pieces, word] = 1.0
        return belongs / np.maximum(belongs.sum(1, keepdims=True), 1.0)


def segment(vocabulary: Vocabulary, texts: Sequence[str], longest: int) -> list[Segmented]:
    """Texts as the model reads them, cut after `longest` pieces."""
    if not texts:
        return []
    encoded = vocabulary.processor.encode(list(texts), out_type="serialized_proto")
    return [
        _segmented(text, SentencePieceText.FromString(proto), longest)
        for text, proto in zip(texts, encoded, strict=True)
    ]


def segment_written(vocabulary: Vocabulary, rows: Sequence[Sequence[int]]) -> list[Segmented]:
    """The output of a search, by its ids, which may differ from the encoding of its text."""
    found = []
    for ids in rows:
        assert not {PAD, BOS, EOS} & set(ids)
        written = SentencePieceText.FromString(vocabulary.processor.decode(list(ids), out_type="serialized_proto"))
        found.append(_segmented(written.text, written, len(ids)))
    return found


def _segmented(text: str, proto: SentencePieceText, longest: int) -> Segmented:
    """Assign pieces to words: the offsets in `proto` count bytes of `text`."""
    words, begins, ends = _words(text)
    pieces: list[list[int]] = [[] for _ in words]
    spans = [(piece.begin, piece.end) for piece in proto.pieces][:longest]
    for position, (begin, end) in enumerate(spans):
        first = bisect_right(ends, begin)  # the first word that ends after the piece begins
        covered = range(first, max(first, bisect_right(begins, end - 1)))
        if not covered:
            # Only space or nothing (a single U+2581, all but the last byte of a character): part of what follows
            # directly.
            after = bisect_right(ends, end)
            covered = range(after, after + (after < len(words) and begins[after] <= end))
        for word in covered:
            pieces[word].append(position)
    return Segmented(text, [piece.id for piece in proto.pieces][:longest], words, pieces)


def _words(text: str) -> tuple[list[str], list[int], list[int]]:
    """The words, and where each begins and ends in UTF-8 bytes."""
    words, begins, ends = [], [], []
    seen = position = 0
    for match in WORD.finditer(text):
        begins.append(position + len(text[seen : match.start()].encode()))
        words.append(match.group())
        position = begins[-1] + len(match.group().encode())
        ends.append(position)
        seen = match.end()
    return words, begins, ends
