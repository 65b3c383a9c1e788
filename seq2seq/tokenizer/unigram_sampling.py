"""Subword regularization: Kudo (2018), arXiv:1804.10959, equation 8, over all segmentations."""

import numpy as np

from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.vocabulary import Vocabulary


class UnigramSampler(Sampler):
    """Draws segmentation x with probability proportional to P(x)^alpha.

    Each run is a lattice: node j stands before character j, an edge is a piece. Forward sums give each edge into a
    node its probability; a draw walks from the last node back to the first.
    """

    def __init__(self, vocabulary: Vocabulary, strength: float) -> None:
        super().__init__(vocabulary, strength)
        self.scores = {piece: self.processor.get_score(i) for piece, i in self.pieces.items()}
        self.longest = max(map(len, self.pieces), default=1)
        self._lattices: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def _forget(self) -> None:
        self._lattices.clear()

    def _remember_fixed(self, ids: list[int]) -> None:
        count = len(ids)
        begins = np.arange(count)
        self._lattices.append((np.array(ids), begins, np.ones(count), np.arange(count + 1)))

    def _remember(self, run: str) -> None:
        ids, begins, shares, edges_to = [], [], [], [0]
        forward = np.zeros(len(run) + 1)  # log of the sum over all ways to get to a node
        for end in range(1, len(run) + 1):
            starts = [begin for begin in range(max(0, end - self.longest), end) if run[begin:end] in self.pieces]
            logs = np.array([forward[begin] + self.strength * self.scores[run[begin:end]] for begin in starts])
            forward[end] = np.logaddexp.reduce(logs)
            ids += [self.pieces[run[begin:end]] for begin in starts]
            begins += starts
            shares.append(np.cumsum(np.exp(logs - forward[end])))
            shares[-1][-1] = 1.0  # whatever rounding says
            edges_to.append(len(ids))
        self._lattices.append((np.array(ids), np.array(begins), np.concatenate(shares), np.array(edges_to)))

    def _segment(self, runs: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if not len(runs):
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        distinct, which = _by_appearance(runs)
        lattices = [self._lattices[run] for run in distinct]
        first_node = np.cumsum([0] + [len(edges_to) for *_, edges_to in lattices])
        edge_count = [len(ids) for ids, *_ in lattices]
        ids = np.concatenate([ids for ids, *_ in lattices])
        begins = np.concatenate([begins for _, begins, *_ in lattices]) + np.repeat(first_node[:-1], edge_count)
        ends = np.concatenate([np.repeat(np.arange(1, len(e)), np.diff(e)) for *_, e in lattices])
        ends += np.repeat(first_node[:-1], edge_count)
        shares = ends + np.concatenate([share for _, _, share, _ in lattices])  # ascending over all edges
        node, root = first_node[which + 1] - 1, first_node[which]
        walking, steps = np.arange(len(runs)), []
        while len(walking):
            edge = np.searchsorted(shares, node[walking] + draw.random(len(walking)), side="right")
            node[walking] = begins[edge]
            steps.append((walking, ids[edge]))
            walking = walking[node[walking] != root[walking]]
        return _in_reading_order(steps, len(runs))


def _by_appearance(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct runs as they first come, and which of them each is: whatever was seen before changes no rounding."""
    distinct, first, which = np.unique(runs, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return distinct[order], place[which]


def _in_reading_order(steps: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Step s gives some runs their (s + 1)-th id from the end."""
    lengths = np.zeros(count, np.int64)
    for walking, _ in steps:
        lengths[walking] += 1
    ends = np.cumsum(lengths)
    flat = np.empty(int(ends[-1]), np.int32)
    for step, (walking, ids) in enumerate(steps):
        flat[ends[walking] - 1 - step] = ids
    return flat, lengths
