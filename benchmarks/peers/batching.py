"""Batches for the peers' decoding: sorted by length, and as large as serves the program best."""

import time
from collections.abc import Callable, Sequence

Ids = list[list[int]]
SIZES = (16, 32, 64, 128, 256)  # sentences


def longest_first(sentences: Sequence[Sequence[object]], size: int) -> list[list[int]]:
    """The sentences' numbers in batches of `size`, those of like length together."""
    order = sorted(range(len(sentences)), key=lambda number: -len(sentences[number]))
    return [order[start : start + size] for start in range(0, len(order), size)]


def best_size(run: Callable[[int], Ids], sizes: Sequence[int] = SIZES) -> int:
    """The batch size with which `run` is the fastest; one that is slower than the one before ends the search."""
    best, least = sizes[0], float("inf")
    for size in sizes:
        began = time.perf_counter()
        run(size)
        seconds = time.perf_counter() - began
        if seconds > least:
            break
        best, least = size, seconds
    return best
