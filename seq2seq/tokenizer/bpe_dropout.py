"""BPE-dropout: Provilkov et al. (2020), arXiv:1910.13267, algorithm 1."""

import numpy as np

from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.vocabulary import Vocabulary


class DropoutSampler(Sampler):
    """At each step each possible merge is dropped with probability p, and of those left the one that comes first in
    the merge table is made, until none is left."""

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        super().__init__(vocabulary, strength)
        self.size = vocabulary.size
        ranked = sorted(self.pieces.values(), key=lambda i: (-self.processor.get_score(i), i))
        self.id_of_rank = np.array(ranked)
        self.never = len(ranked)  # the rank of a pair that does not merge
        rank = {piece_id: number for number, piece_id in enumerate(ranked)}
        table = {}
        for piece, merged in self.pieces.items():
            for cut in range(1, len(piece)):
                left, right = self.pieces.get(piece[:cut]), self.pieces.get(piece[cut:])
                if left is not None and right is not None:
                    table[left * self.size + right] = rank[merged]
        self.pairs = np.array([*sorted(table), np.iinfo(np.int64).max])
        self.ranks = np.array([table[pair] for pair in sorted(table)] + [self.never])
        self._symbols: list[list[int]] = []

    def _forget(self) -> None:
        self._symbols.clear()

    def _remember_fixed(self, ids: list[int]) -> None:
        self._symbols.append(ids)

    def _remember(self, run: str) -> None:
        self._symbols.append([self.pieces[character] for character in run])

    def _segment(self, runs: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        starts = np.fromiter((len(self._symbols[run]) for run in runs), np.int64, len(runs))
        lengths = np.zeros(len(runs), np.int64)
        finished: list[tuple[np.ndarray, np.ndarray]] = []
        for length in np.unique(starts):
            where = np.flatnonzero(starts == length)
            symbols = np.array([self._symbols[run] for run in runs[where]])
            for rows, done in self._merge(symbols, draw):
                finished.append((where[rows], done))
                lengths[where[rows]] = done.shape[1]
        offsets = np.cumsum(lengths) - lengths
        flat = np.empty(int(lengths.sum()), np.int32)
        for rows, done in finished:
            flat[offsets[rows, None] + np.arange(done.shape[1])] = done
        return flat, lengths

    def _merge(self, symbols: np.ndarray, draw: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Merge rows of equally many symbols; each step takes one from every row that goes on."""
        finished, rows = [], np.arange(len(symbols))
        ranks = self._rank(symbols[:, :-1], symbols[:, 1:])
        while len(rows) and ranks.shape[1]:
            kept = np.where(draw.random(ranks.shape, np.float32) < self.strength, self.never, ranks)
            best = kept.argmin(1)
            rank = kept[np.arange(len(rows)), best]
            going = rank < self.never
            finished.append((rows[~going], symbols[~going]))
            rows, symbols, ranks, best, rank = rows[going], symbols[going], ranks[going], best[going], rank[going]
            each = np.arange(len(rows))
            symbols = _without(symbols, best + 1)
            symbols[each, best] = self.id_of_rank[rank]
            ranks = _without(ranks, best)
            left, right = best > 0, best < ranks.shape[1]
            for side, shift in ((left, -1), (right, 0)):
                row, column = each[side], best[side] + shift
                ranks[row, column] = self._rank(symbols[row, column], symbols[row, column + 1])
        finished.append((rows, symbols))
        return finished

    def _rank(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        pair = left.astype(np.int64) * self.size + right
        place = np.searchsorted(self.pairs, pair)
        return np.where(self.pairs[place] == pair, self.ranks[place], self.never)


def _without(rows: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The rows with one column taken out of each."""
    index = np.arange(rows.shape[1] - 1) + (np.arange(rows.shape[1] - 1) >= column[:, None])
    return np.take_along_axis(rows, index, 1)
