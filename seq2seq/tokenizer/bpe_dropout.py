"""BPE-dropout: Provilkov et al. (2020), arXiv:1910.13267, algorithm 1."""

import numpy as np

from seq2seq.tokenizer.draws import uniform
from seq2seq.tokenizer.lookup import Lookup
from seq2seq.tokenizer.runs import Runs, gathered
from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.vocabulary import Vocabulary

CELLS = 1 << 17  # symbols of the runs that are merged together: as many as fit into the processor's cache
GROWTH = 1.25  # of the lengths in a batch, at most
NEVER = np.iinfo(np.int32).max  # the order of a pair that does not merge
GONE = -1  # what is left of a symbol that has been merged into the one before


class DropoutSampler(Sampler):
    """At each step each possible merge is dropped with probability p, and the first of the others in the merge table is
    done, until none is left.

    It needs one random number per step: the first k merges are dropped, and the next is not, with probability p^k (1 -
    p).
    """

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        super().__init__(vocabulary, strength)
        self.size = vocabulary.size
        score = vocabulary.processor.get_score
        ranked = sorted(self.pieces.values(), key=lambda i: (-score(i), i))
        self.id_of_rank = np.array(ranked, np.int32)
        rank = {piece_id: number for number, piece_id in enumerate(ranked)}
        table = {}
        for piece, merged in self.pieces.items():
            for cut in range(1, len(piece)):
                left, right = self.pieces.get(piece[:cut]), self.pieces.get(piece[cut:])
                if left is not None and right is not None:
                    table[left * self.size + right] = rank[merged]
        self.ranks = Lookup(table, missing=-1)

    def _segment(self, runs: Runs, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ranks = self._rank(runs.symbols, np.append(runs.symbols[1:], GONE))
        last = np.zeros(len(ranks), bool)
        last[runs.offsets[1:] - 1] = True
        ranks[last | np.repeat(runs.fixed, np.diff(runs.offsets))] = -1
        starts = runs.offsets[runs.numbers]
        lengths = runs.offsets[runs.numbers + 1] - starts
        order = np.argsort(lengths, kind="stable")
        parts = [np.zeros(0, np.int32)]
        counts = np.zeros(len(lengths), np.int64)
        for rows in _batches(order, lengths):
            merged = _Merging(runs.symbols, ranks, starts[rows], lengths[rows])
            self._merge(merged, keys[rows])
            real = merged.symbols.T >= 0
            parts.append(merged.symbols.T[real])
            counts[rows] = real.sum(1)
        begins = np.empty_like(counts)
        begins[order] = np.cumsum(counts[order]) - counts[order]
        return gathered(np.concatenate(parts), begins, counts), counts

    def _merge(self, runs: "_Merging", keys: np.ndarray) -> None:
        """Each step merges a pair in every unfinished run."""
        columns, step = np.arange(runs.symbols.shape[1]), 0
        order = runs.order  # of the columns' pairs: the least is the next to be merged
        while len(columns):
            chosen = self._chosen(order, uniform(keys, step))
            going = chosen < NEVER
            if not going.all():
                columns, order, keys, chosen = columns[going], order[:, going], keys[going], chosen[going]
            rank, place = np.divmod(chosen, len(order))
            here = np.arange(len(columns))
            symbol = self.id_of_rank[rank]
            gone = runs.after[place, columns]
            after, before = runs.after[gone, columns], runs.before[place, columns]
            runs.symbols[place, columns], runs.symbols[gone, columns] = symbol, GONE
            runs.after[place, columns], runs.before[after, columns] = after, place
            order[gone, here] = NEVER
            order[place, here] = _order(self._rank(symbol, runs.symbols[after, columns]), place, len(order))
            order[before, here] = _order(self._rank(runs.symbols[before, columns], symbol), before, len(order))
            step += 1

    def _chosen(self, order: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """The least in each column that is not dropped, or NEVER."""
        chosen = order.min(0)
        dropped = np.flatnonzero((draw < self.strength) & (chosen < NEVER))
        if len(dropped):
            in_a_row = np.log(draw[dropped]) / min(np.log(self.strength), -1e-9)
            count = np.minimum(in_a_row, len(order) - 1).astype(np.int64)
            chosen[dropped] = np.sort(order[:, dropped].T, axis=1)[np.arange(len(dropped)), count]
        return chosen

    def _rank(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The rank of what the two merge into, or -1."""
        ranks = self.ranks(np.maximum(left.astype(np.int64) * self.size + right, 0))
        ranks[(left < 0) | (right < 0)] = -1
        return ranks


class _Merging:
    """Runs [place, run] of similar length during their merges, as doubly linked lists. Row 0 is before the first symbol
    and the last row after the last:

    both are always empty.
    """

    def __init__(self, symbols: np.ndarray, ranks: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        rows, width = len(starts), int(lengths.max()) + 2
        place = np.arange(width, dtype=np.int32)[:, None]
        real = (place >= 1) & (place <= lengths)
        cells = np.where(real, starts + place - 1, 0)
        self.symbols = np.where(real, symbols[cells], GONE).astype(np.int32)
        self.order = _order(np.where(real, ranks[cells], -1), place, width)
        self.after = np.repeat(np.minimum(place + 1, width - 1), rows, 1)
        self.before = np.repeat(np.maximum(place - 1, 0), rows, 1)


def _order(rank: np.ndarray, place: np.ndarray, width: int) -> np.ndarray:
    """By rank, then by place."""
    return np.where(rank < 0, NEVER, rank * np.int32(width) + place.astype(np.int32)).astype(np.int32)


def _batches(order: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """The runs, in this order by length, in batches of about CELLS symbols and of nearly one length."""
    if not len(order):
        return []
    sizes = lengths[order] + 2
    batch = np.cumsum(sizes) // CELLS
    bucket = (np.log(sizes) / np.log(GROWTH)).astype(np.int64)
    return np.split(order, np.flatnonzero((np.diff(batch) != 0) | (np.diff(bucket) != 0)) + 1)
