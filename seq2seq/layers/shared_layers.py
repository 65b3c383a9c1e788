"""Layers used several times: Takase and Kiyono (2021), arXiv:2104.06022, section 2, the order "cycle"; with one set of
weights, ALBERT's: Lan et al. (2020), arXiv:1909.11942, section 3.1."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def in_cycle(items: Sequence[T], depth: int) -> list[T]:
    """`depth` items: the first to the last, then from the first again."""
    return [items[number % len(items)] for number in range(depth)]


def distinct_problem(side: str, distinct: int | None, layers: int) -> str | None:
    """Why `layers` layers cannot have this number of sets of weights, or None."""
    if distinct is None or distinct <= layers:
        return None
    return f"{side}.distinct_layers={distinct} is more than {side}.layers={layers}; null: all are distinct"
