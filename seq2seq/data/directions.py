"""Each pair in both directions, with a tag of the direction before its source: one model for both (Johnson et al. 2017,
arXiv:1611.04558, section 3), also to start others from (Ding et al. 2021, arXiv:2109.07780)."""

from collections.abc import Iterator, Sequence

from seq2seq.data.text import with_prefix
from seq2seq.types import Pair


class Directions:
    """Two tags: the first is put before a pair's source, the second before its target, the source of a second copy.
    Without `tags` a pair has one direction. The references belong to the first copy."""

    def __init__(self, tags: Sequence[str] | None) -> None:
        self.tags = list(tags or [])

    def problems(self, source_prefix: str, target_prefix: str) -> Iterator[str]:
        """What is wrong with the tags, or with a prefix beside them, as lines."""
        tags = self.tags
        sound = len(set(tags)) == len(tags) == 2 and all(tag and tag == "".join(tag.split()) for tag in tags)
        if tags and not sound:
            expected = "expected two different tags without spaces, one for each direction, such as ['<2en>', '<2de>']"
            yield f"data.both_directions: {expected}, or null, got {tags}"
        elif tags and source_prefix:
            advice = "there is no place for two tags; add data.both_directions=null"
            yield f"data.source_prefix: with {source_prefix!r} {advice}"
        elif tags and target_prefix:
            advice = "targets of both directions would begin alike; add data.both_directions=null"
            yield f"data.target_prefix: with {target_prefix!r} {advice}"

    def of(self, pair: Pair) -> Iterator[Pair]:
        """The pair, or with tags that of each direction."""
        if not self.tags:
            yield pair
            return
        there, back = (f"{tag} " for tag in self.tags)
        yield Pair(with_prefix(there, pair.source), pair.target, pair.references)
        yield Pair(with_prefix(back, pair.target), pair.source)

    @property
    def fingerprint(self) -> str:
        """What distinguishes the pairs that are read with other tags; '' without."""
        return repr(self.tags) if self.tags else ""
