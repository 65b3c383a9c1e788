"""Vectorised lookup of keys in a table: open addressing with linear probing, multiplicative hashing."""

import numpy as np

FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, and odd
SPARSE = 8  # places per key: a query that is not in the table mostly finds an empty place


class Lookup:
    """The value of each key of `table`, and `missing` for any other; keys are at least 0."""

    def __init__(self, table: dict[int, int], missing: int) -> None:
        keys = np.fromiter(table, np.int64, len(table))
        values = np.fromiter(table.values(), np.int32, len(table))
        bits = max(1, int(len(keys) * SPARSE).bit_length())
        self._shift = np.uint64(64 - bits)
        self._keys = np.full((1 << bits) + len(keys) + 1, -1)  # probing may go on past the last place
        self._values = np.full(len(self._keys), missing, np.int32)
        place = self._place(keys)
        waiting = np.arange(len(keys))
        while len(waiting):
            claimed, first = np.unique(place[waiting], return_index=True)
            free = self._keys[claimed] < 0
            winners = waiting[first[free]]
            self._keys[place[winners]], self._values[place[winners]] = keys[winners], values[winners]
            waiting = waiting[self._keys[place[waiting]] != keys[waiting]]
            place[waiting] += 1

    def __call__(self, keys: np.ndarray) -> np.ndarray:
        """The values (int32) of these keys (int64)."""
        place = self._place(keys)
        found = self._keys[place]
        values = self._values[place]
        wrong = np.flatnonzero(found != keys)
        while len(wrong):
            # An empty place has the value `missing`; at one with another key the search continues.
            values[wrong] = self._values[-1]
            wrong = wrong[found[wrong] >= 0]
            place[wrong] += 1
            found[wrong] = self._keys[place[wrong]]
            values[wrong] = self._values[place[wrong]]
            wrong = wrong[found[wrong] != keys[wrong]]
        return values

    def _place(self, keys: np.ndarray) -> np.ndarray:
        return ((keys.astype(np.uint64) * FACTOR) >> self._shift).astype(np.int64)
