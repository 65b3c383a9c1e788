"""Links of both directions are combined: between intersection and union, as the algorithm's description says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.analysis.attention.alignment import pharaoh
from seq2seq.analysis.attention.symmetrization import symmetrize

LINKS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12, unique=True)


def links(text: str) -> list[tuple[int, int]]:
    return [(int(left), int(right)) for left, right in (link.split("-") for link in text.split())]


@pytest.mark.parametrize(
    ("one", "other", "grown"),
    [
        ("0-0 1-1", "0-0 1-1", "0-0 1-1"),
        ("", "", ""),
        ("0-0 1-1", "0-0 2-1", "0-0 1-1 2-1"),  # 1-1 is diagonal to 0-0, then 2-1 beside 1-1: source 2 has no link
        ("0-0 0-1", "0-0 1-1", "0-0 0-1 1-1"),  # beside what there is, and one word is free
        ("0-0 1-0 1-1", "0-0 1-1", "0-0 1-1"),  # 1-0 adds nothing: both its words have links
        ("0-0 5-5", "0-0", "0-0 5-5"),  # far away, but both words are free
        ("0-0 5-0", "0-0", "0-0"),  # far away, and target 0 has a link
        ("3-4", "4-3", "3-4 4-3"),  # no intersection: one is added, and the other one's words are free
    ],
)
def test_grow_diag_final_and(one: str, other: str, grown: str) -> None:
    assert pharaoh(symmetrize(links(one), links(other), "grow_diag_final_and")) == grown


@given(LINKS, LINKS)
def test_it_lies_between_intersection_and_union(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    inner, outer = (set(symmetrize(one, other, how)) for how in ("intersection", "union"))
    assert inner == set(one) & set(other)
    assert outer == set(one) | set(other)
    grown = set(symmetrize(one, other, "grow_diag_final_and"))
    assert inner <= grown <= outer
    sources, targets = {source for source, _ in grown}, {target for _, target in grown}
    assert not {link for link in outer if link[0] not in sources and link[1] not in targets}
