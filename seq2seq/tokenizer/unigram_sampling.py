"""Subword regularization: Kudo (2018), arXiv:1804.10959, equation 8, over all segmentations."""

from dataclasses import dataclass

import numpy as np

from seq2seq.tokenizer.draws import uniform
from seq2seq.tokenizer.lookup import Lookup
from seq2seq.tokenizer.runs import Runs
from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.vocabulary import Vocabulary

ROOT = 0


class UnigramSampler(Sampler):
    """Samples segmentation x with probability proportional to P(x)^alpha.

    Each run is a lattice: node j is before character j, an edge is a piece. Forward sums give each edge into a node
    its probability; sampling goes from the last node back to the first.
    """

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        super().__init__(vocabulary, strength)
        self.size = vocabulary.size
        prefixes: dict[tuple[int, ...], int] = {(): ROOT}  # of pieces, as ids of their characters
        steps: dict[int, int] = {}  # from a prefix and a character to the prefix they make
        ends: dict[int, int] = {}  # the piece of a prefix
        for piece, number in self.pieces.items():
            symbols = tuple(self.pieces.get(character, -1) for character in piece)
            if min(symbols) < 0:
                continue  # no run has such a character
            for length in range(1, len(symbols) + 1):
                prefix = prefixes.setdefault(symbols[:length], len(prefixes))
                steps[prefixes[symbols[: length - 1]] * self.size + symbols[length - 1]] = prefix
            ends[prefix] = number
        self.steps = Lookup(steps, missing=ROOT)
        self.piece_of = np.full(len(prefixes), -1, np.int32)
        self.piece_of[list(ends)] = list(ends.values())
        self.scores = np.array([vocabulary.processor.get_score(i) for i in range(vocabulary.size)])

    def _segment(self, runs: Runs, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lattice = self._lattice(runs)
        first_node = runs.offsets + np.arange(len(runs.offsets))  # a run has one more node than symbols
        node, root = first_node[runs.numbers + 1] - 1, first_node[runs.numbers]
        walking = np.arange(len(node))
        steps: list[tuple[np.ndarray, np.ndarray]] = []
        while len(walking):
            edge = lattice.into(node[walking], uniform(keys[walking], len(steps)))
            node[walking] = lattice.begins[edge]
            steps.append((walking, lattice.ids[edge]))
            walking = walking[node[walking] != root[walking]]
        return _in_reading_order(steps, len(node))

    def _lattice(self, runs: Runs) -> "_Lattice":
        """Of all runs, one after another."""
        counts = np.diff(runs.offsets)
        fixed = np.repeat(runs.fixed, counts)
        place = np.arange(len(runs.symbols)) - np.repeat(runs.offsets[:-1], counts)
        node = np.arange(len(runs.symbols)) + np.repeat(np.arange(len(counts)), counts)  # before each symbol
        left = np.repeat(counts, counts) - place  # symbols from each on
        begins, ends, ids, depths = [node[fixed]], [node[fixed] + 1], [runs.symbols[fixed]], [place[fixed] + 1]
        at, prefix = np.flatnonzero(~fixed), np.full(int((~fixed).sum()), ROOT, np.int64)
        length = 0
        while len(at):
            prefix = self.steps(prefix * self.size + runs.symbols[at + length]).astype(np.int64)
            length += 1
            known = prefix != ROOT
            at, prefix = at[known], prefix[known]
            piece = self.piece_of[prefix]
            whole = piece >= 0
            begins.append(node[at[whole]])
            ends.append(node[at[whole]] + length)
            ids.append(piece[whole])
            depths.append(place[at[whole]] + length)
            longer = left[at] > length
            at, prefix = at[longer], prefix[longer]
        edges = np.stack([np.concatenate(parts) for parts in (begins, ends, ids, depths)])
        return _Lattice.of(edges, self.scores * self.strength, len(runs.symbols) + len(counts))


@dataclass(frozen=True)
class _Lattice:
    """Edges in the order of their ends; those into node v are numbers first[v] to first[v + 1] - 1.

    `shares` are the cumulative probabilities of a node's edges.
    """

    begins: np.ndarray
    ids: np.ndarray
    first: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, edges: np.ndarray, scores: np.ndarray, nodes: int) -> "_Lattice":
        """The lattice of edges [4 E]: node it begins at, node it ends at, piece, and symbols from the run's start to
        its end."""
        begins, ends, ids, depths = edges[:, np.lexsort(edges[:2])]
        first = np.searchsorted(ends, np.arange(nodes + 1))
        forward = np.zeros(nodes)  # log of the sum over all paths to a node
        logs = scores[ids]
        by_depth = np.argsort(depths, kind="stable")
        for some in np.split(by_depth, np.flatnonzero(np.diff(depths[by_depth])) + 1):
            into = np.flatnonzero(np.diff(ends[some], prepend=-1))
            logs[some] += forward[begins[some]]
            forward[ends[some][into]] = np.logaddexp.reduceat(logs[some], into)
        chances = np.exp(logs - forward[ends])
        shares, number = chances.copy(), np.arange(len(ends)) - first[ends]
        for further in range(1, int(number.max(initial=0)) + 1):
            more = np.flatnonzero(number >= further)
            shares[more] += chances[more - further]
        return cls(begins, ids, first, shares)

    def into(self, nodes: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """The sampled edge of each node: the first whose share is above the random number, or else the last."""
        edge, last = self.first[nodes], self.first[nodes + 1] - 1
        open_ = np.flatnonzero((self.shares[edge] <= draw) & (edge < last))
        while len(open_):
            edge[open_] += 1
            open_ = open_[(self.shares[edge[open_]] <= draw[open_]) & (edge[open_] < last[open_])]
        return edge


def _in_reading_order(steps: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Step s gives some runs their (s + 1)-th id from the end."""
    lengths = np.zeros(count, np.int64)
    for walking, _ in steps:
        lengths[walking] += 1
    ends = np.cumsum(lengths)
    flat = np.empty(int(lengths.sum()), np.int32)
    for step, (walking, ids) in enumerate(steps):
        flat[ends[walking] - 1 - step] = ids
    return flat, lengths
