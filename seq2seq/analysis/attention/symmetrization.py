"""Links of both directions combined: Och and Ney (2003), Computational Linguistics 29(1), section 5; and the method
grow-diag-final-and of Koehn et al. (2005), IWSLT."""

from collections.abc import Sequence
from typing import Literal

from seq2seq.analysis.attention.alignment import Link

Symmetrization = Literal["grow_diag_final_and", "intersection", "union"]
NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def symmetrize(one: Sequence[Link], other: Sequence[Link], how: Symmetrization) -> list[Link]:
    """The links of a pair from those of both directions, each (source, target).

    intersection: found in both; union: in any. grow_diag_final_and: the intersection; then, repeatedly, links of the
    union next to those there are, also diagonally, whose source or target word has no link yet; then links of the union
    of which neither word has one.
    """
    both, any_of = set(one) & set(other), set(one) | set(other)
    if how != "grow_diag_final_and":
        return sorted(both if how == "intersection" else any_of)
    links = set(both)
    sources, targets = {s for s, _ in links}, {t for _, t in links}

    def add(link: Link) -> None:
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    before = -1
    while len(links) > before:
        before = len(links)
        for source, target in sorted(links):
            for down, right in NEIGHBOURS:
                near = source + down, target + right
                if near in any_of - links and (near[0] not in sources or near[1] not in targets):
                    add(near)
    for link in [*one, *other]:
        if link[0] not in sources and link[1] not in targets:
            add(link)
    return sorted(links)
