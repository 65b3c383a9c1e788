"""One pass over a split's texts: the numbers of each text that the checks compare, and the rows with odd characters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seq2seq.data.checks.characters import DIGIT, LETTER, MARKUP, ODD, SPACE, Characters, Codes, mojibake
from seq2seq.data.checks.languages import Profiles
from seq2seq.data.stored import SIDES

CHUNK = 8192  # pairs that are read together
LONGEST = 1_000_000  # characters that are looked at together
SCRIPTS = 32  # that are distinguished; further ones count as the last
_RANDOM = np.random.default_rng(20).integers(1, 2**63, 10, dtype=np.int64)  # a number for each digit, to be added up
MOJIBAKE, HTML = 32, 33  # kinds of rows beside those of ODD

Letters = Mapping[str, np.ndarray]  # by side, how many letters it has of each script
Texts = tuple[Sequence[str], Sequence[str]]  # sources and targets, whose slices are lists


@dataclass(frozen=True)
class Side:
    """Numbers of the texts of one side, each [n]: `hashes` are equal for equal texts within one process, `digits` for
    texts with the same digits in any order (0 for none); `scores` say how much a text looks like the source's language
    (positive) or the target's, in nats per letter."""

    hashes: np.ndarray
    characters: np.ndarray
    words: np.ndarray
    letters: np.ndarray
    digits: np.ndarray
    scores: np.ndarray
    scripts: np.ndarray  # of each text the script that most of its letters have, where it is most of them
    blank: np.ndarray

    @classmethod
    def joined(cls, parts: "Sequence[Side]") -> "Side":
        """The texts of all parts."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


@dataclass
class Survey:
    """A split as numbers. `odd` maps a side and a kind of odd character to the rows that have it."""

    source: Side
    target: Side
    odd: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    script_names: Sequence[str] = ()
    script_letters: Letters = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source.hashes)

    @property
    def pairs(self) -> np.ndarray:
        """A number for each pair, equal for equal pairs."""
        return pair_hashes(self.source.hashes, self.target.hashes)

    def side(self, name: str) -> Side:
        """The side called source or target."""
        return self.source if name == "source" else self.target


def pair_hashes(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A hash of each pair from those of its sides."""
    odd = np.int64(-7046029254386353131)
    with np.errstate(over="ignore"):
        mixed = sources * odd
        return (mixed ^ (mixed >> np.int64(29))) + targets


def hashes_of(texts: Sequence[str]) -> np.ndarray:
    """A hash of each text, of 64 bits, which differs from process to process."""
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def survey(
    texts: Texts,
    characters: Characters,
    profiles: Profiles | None,
    advance: Callable[[int], None] = lambda done: None,
) -> Survey:
    """All texts of a split, chunk by chunk; `advance` is called with the number of pairs of each."""
    parts: dict[str, list[Side]] = {side: [] for side in SIDES}
    odd: dict[tuple[str, int], list[np.ndarray]] = {}
    letters = {side: np.zeros(SCRIPTS, np.int64) for side in SIDES}
    for start in range(0, len(texts[0]), CHUNK):
        for side, column in zip(SIDES, texts, strict=True):
            for first, lines in _pieces(list(column[start : start + CHUNK])):
                codes = Codes.of(lines)
                kinds = characters.meet(codes.codes)
                parts[side].append(_numbers(lines, codes, kinds, characters, profiles, letters[side]))
                for kind, rows in _odd_rows(codes, kinds):
                    odd.setdefault((side, kind), []).append(start + first + rows)
        advance(min(CHUNK, len(texts[0]) - start))
    source, target = (Side.joined(parts[side]) for side in SIDES)
    return Survey(source, target, {key: np.concatenate(rows) for key, rows in odd.items()}, characters.names, letters)


def _pieces(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines in pieces that are not too long together, each with the number of its first line: a code point takes
    dozens of bytes while it is looked at."""
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)))
    first = 0
    while first < len(lines):
        begun = int(ends[first - 1]) if first else 0
        after = max(int(np.searchsorted(ends, begun + LONGEST, side="right")), first + 1)
        yield first, lines[first:after]
        first = after


def _numbers(
    lines: list[str],
    codes: Codes,
    kinds: np.ndarray,
    characters: Characters,
    profiles: Profiles | None,
    script_letters: np.ndarray,
) -> Side:
    filled = kinds != SPACE
    begins = filled.copy()
    begins[1:] &= ~filled[:-1]
    digits = np.zeros(len(lines), np.int64)
    if len(places := np.flatnonzero(kinds == DIGIT)):
        values = np.zeros(len(kinds), np.int64)
        values[places] = _RANDOM[[int(chr(code)) for code in codes.codes[places].tolist()]]
        digits = codes.sums(values)
    letters = codes.sums((kinds == LETTER).astype(np.int32))
    scores = np.zeros(len(lines), np.float32) if profiles is None else profiles.scores(codes, characters)
    return Side(
        hashes_of(lines),
        (codes.ends - codes.starts).astype(np.int32),
        codes.sums(begins.astype(np.int32)),
        letters,
        digits,
        scores,
        _scripts(codes, kinds, letters, characters, script_letters),
        codes.sums(filled.astype(np.int32)) == 0,
    )


def _scripts(
    codes: Codes, kinds: np.ndarray, letters: np.ndarray, characters: Characters, script_letters: np.ndarray
) -> np.ndarray:
    """The script that more than half of a text's letters have, 0 where none has; the letters of each are counted."""
    scripts = np.minimum(characters.scripts[codes.codes], SCRIPTS - 1)
    scripts[kinds != LETTER] = 0
    counts = np.bincount(scripts, minlength=SCRIPTS)
    counts[0] = 0
    script_letters += counts
    most = np.zeros(len(letters), np.uint8)
    for script in np.flatnonzero(counts).tolist():
        most[codes.sums((scripts == script).astype(np.int32)) * 2 > letters] = script
    return most


def _odd_rows(codes: Codes, kinds: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    places = np.flatnonzero(kinds >= min(ODD))
    for kind in np.unique(kinds[places]).tolist():
        yield kind, codes.rows(places[kinds[places] == kind])
    if found := list(mojibake(codes.text)):
        yield MOJIBAKE, codes.rows(np.array(found))
    if found := [match.start() for match in MARKUP.finditer(codes.text)]:
        yield HTML, codes.rows(np.array(found))
