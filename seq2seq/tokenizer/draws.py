"""Random numbers that are a function of a key and a position: SplitMix64 (Steele, Lea and Flood 2014).

The numbers for a text do not depend on other texts or on the process.
"""

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def keys_of(*origin: int, count: int, first: int = 0) -> np.ndarray:
    """Keys number `first` to `first + count - 1` of an origin, uint64: another origin has unrelated ones."""
    start = np.random.SeedSequence(origin).generate_state(1, np.uint64)
    return _mixed(start + np.arange(first + 1, first + count + 1).astype(np.uint64) * GAMMA)


def keys_below(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Keys derived from each key by number (from 0)."""
    return _mixed(keys + (numbers.astype(np.uint64) + np.uint64(1)) * GAMMA)


def uniform(keys: np.ndarray, number: int) -> np.ndarray:
    """The random number `number` of each key: above 0 and below 1."""
    bits = _mixed(keys + np.uint64((number + 1) * int(GAMMA) & 0xFFFFFFFFFFFFFFFF))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
