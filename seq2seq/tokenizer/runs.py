"""Texts as sequences of runs: pieces of text that are segmented independently, each distinct one stored once.

Pieces never reach across a space. Splitting is plain Python and the same in every epoch; sampling only uses these
arrays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from seq2seq.plain_types import UNK
from seq2seq.tokenizer.vocabulary import Vocabulary

SPACE = "\u2581"
WORDS = re.compile(rf"{SPACE}[^{SPACE}\n]*|[^{SPACE}\n]+|\n")
LONGEST_RUN = 200  # characters segmented together; text without spaces is cut there, to limit the time


@dataclass(frozen=True)
class Runs:
    """Text i is the runs numbers[ends[i]:ends[i + 1]]; run r begins as symbols[offsets[r]:offsets[r + 1]].

    The symbols are the ids of its characters, or, if it is `fixed`, its only segmentation.
    """

    numbers: np.ndarray  # int32 [occurrences]
    ends: np.ndarray  # int64 [texts + 1]
    symbols: np.ndarray  # int32 [symbols]
    offsets: np.ndarray  # int64 [runs + 1]
    fixed: np.ndarray  # bool [runs]


class RunSplitter:
    """Splits texts for a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.processor = vocabulary.processor
        self.symbols = vocabulary.symbols
        longest_first = sorted(self.symbols, key=len, reverse=True)
        self._symbol = re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)()")
        self.pieces = pieces_of(vocabulary)
        ids = range(4, vocabulary.size)
        self.bytes = {self.processor.id_to_piece(i): i for i in ids if self.processor.is_byte(i)}

    def split(self, texts: Sequence[str]) -> Runs:
        """These texts' runs."""
        words: dict[str, tuple[int, ...]] = {}  # a word's runs, by number
        runs: dict[str, int] = {}
        rows = []
        for text in self.processor.normalize(list(texts)):
            row: list[int] = []
            for word in self._words(text):
                known = words.get(word)
                if known is None:
                    known = words[word] = tuple(runs.setdefault(run, len(runs)) for run in self._split(word))
                row += known
            rows.append(row)
        begun = [self._begun(run) for run in runs]
        numbers, ends = _flat(rows)
        flat, offsets = _flat(begun)
        fixed = np.fromiter((run in self.symbols or run[0] not in self.pieces for run in runs), bool, len(runs))
        return Runs(numbers, ends, flat, offsets, fixed)

    def _words(self, text: str) -> list[str]:
        """The symbols of a text, and the words between them."""
        words: list[str] = []
        for number, part in enumerate(self._symbol.split(text)):
            words += [part] if number % 2 else WORDS.findall(part)
        return words

    def _split(self, word: str) -> list[str]:
        """The word in runs of characters that are all in the vocabulary, or none; a symbol is one run."""
        if word in self.symbols:
            return [word]
        runs = [""]
        for character in word:
            same = runs[-1] and (character in self.pieces) == (runs[-1][0] in self.pieces)
            if (same or not runs[-1]) and len(runs[-1]) < LONGEST_RUN:
                runs[-1] += character
            else:
                runs.append(character)
        return runs

    def _begun(self, run: str) -> list[int]:
        if run in self.symbols:
            return [self.symbols[run]]
        if run[0] in self.pieces:
            return [self.pieces[character] for character in run]
        return [self.bytes[f"<0x{byte:02X}>"] for byte in run.encode()] if self.bytes else [UNK]


def pieces_of(vocabulary: Vocabulary) -> dict[str, int]:
    """The id of each piece that a text may be segmented into, without bytes, symbols, unused and reserved ones."""
    processor = vocabulary.processor
    ids = sorted(set(range(4, vocabulary.size)) - set(vocabulary.symbols.values()))
    skipped = (processor.is_byte, processor.is_unused, processor.is_control)
    return {processor.id_to_piece(i): i for i in ids if not any(kind(i) for kind in skipped)}


def gathered(flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The concatenation of flat[start:start + length]."""
    before = np.cumsum(lengths) - lengths
    return flat[np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))]


def _flat(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The concatenated rows and their offsets."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets
