"""Sampled segmentation, our own: SentencePiece's cannot be seeded so that another process draws the same.

Pieces never reach across a space, so a text is a row of words that are segmented independently, many at a time.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain

import numpy as np

from seq2seq.tokenizer.vocabulary import Vocabulary
from seq2seq.types import UNK

SPACE = "\u2581"
WORDS = re.compile(rf"{SPACE}[^{SPACE}\n]*|[^{SPACE}\n]+|\n")
LONGEST_RUN = 200  # characters segmented as one; text without spaces is cut there, so that none takes forever
MOST_WORDS = 200_000  # remembered; then forgotten all at once


class Sampler(ABC):
    """Draws a segmentation of each text; `strength` is the model's own measure, see SentencePiece.sampling."""

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        self.processor = vocabulary.processor
        self.strength = strength
        self.symbols = vocabulary.symbols
        longest_first = sorted(self.symbols, key=len, reverse=True)
        self._symbol = re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)()")
        ids = set(range(4, vocabulary.size)) - set(self.symbols.values())
        self.pieces = {self.processor.id_to_piece(i): i for i in sorted(ids) if not self.processor.is_byte(i)}
        self.bytes = {self.processor.id_to_piece(i): i for i in ids if self.processor.is_byte(i)}
        self._words: dict[str, tuple[int, ...]] = {}  # a word's runs, by number
        self._runs: dict[str, int] = {}

    def sample(self, texts: Sequence[str], draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The texts' ids in a row (int32), and how many each has (int64)."""
        if len(self._words) > MOST_WORDS:
            self._words.clear()
            self._runs.clear()
            self._forget()
        words = [self._words_of(text) for text in self.processor.normalize(list(texts))]
        runs = [self._runs_of(word) for word in chain.from_iterable(words)]
        drawn = np.fromiter(chain.from_iterable(runs), np.int64)
        ids, run_lengths = self._segment(drawn, draw)
        run_ends = np.concatenate([[0], np.cumsum([len(word) for word in runs], dtype=np.int64)])
        text_ends = run_ends[np.concatenate([[0], np.cumsum([len(text) for text in words], dtype=np.int64)])]
        id_ends = np.concatenate([[0], np.cumsum(run_lengths)])
        return ids, np.diff(id_ends[text_ends])

    @abstractmethod
    def _remember(self, run: str) -> None:
        """Prepare the next run, of characters that are all in the vocabulary."""

    @abstractmethod
    def _remember_fixed(self, ids: list[int]) -> None:
        """Prepare the next run, one that has a single segmentation."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop all runs."""

    @abstractmethod
    def _segment(self, runs: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The ids of these runs in a row, and how many each has."""

    def _words_of(self, text: str) -> list[str]:
        """The symbols of a text, and the words around them."""
        words: list[str] = []
        for number, part in enumerate(self._symbol.split(text)):
            words += [part] if number % 2 else WORDS.findall(part)
        return words

    def _runs_of(self, word: str) -> tuple[int, ...]:
        known = self._words.get(word)
        if known is None:
            known = self._words[word] = tuple(self._number(run) for run in self._split(word))
        return known

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

    def _number(self, run: str) -> int:
        number = self._runs.get(run)
        if number is None:
            number = self._runs[run] = len(self._runs)
            if run in self.symbols:
                self._remember_fixed([self.symbols[run]])
            elif run[0] in self.pieces:
                self._remember(run)
            else:
                self._remember_fixed([self.bytes[f"<0x{byte:02X}>"] for byte in run.encode()] if self.bytes else [UNK])
        return number
