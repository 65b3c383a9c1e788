"""Which side's language a text is in, by the letters of the corpus itself: trigrams, as in Cavnar and Trenkle (1994),
scored by the logarithm of how much more frequent they are on one side."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from seq2seq.data.checks.characters import LETTER, Characters, Codes

TRIGRAMS = 1 << 17  # entries of the table, found by a hash of three letters
SAMPLE = 20_000  # pairs that the table is made from, evenly spaced
BEGINNING = 200  # characters of each of them
SHORTEST = 20  # letters of a text that is judged
ALIKE = 0.4  # share of its words that one side has in common with the other; 0.1 to 0.2 in two languages, 0.5 in one
CLEAR = 0.5  # of the usual score of the other side: texts beyond that look like it


@dataclass(frozen=True)
class Profiles:
    """The table, and the usual scores of sources (positive) and targets (negative), in nats per letter."""

    table: np.ndarray
    source: float
    target: float

    @classmethod
    def of(cls, sources: list[str], targets: list[str], characters: Characters) -> "Profiles | None":
        """The profiles of these samples; None where the two sides are not clearly in different languages."""
        sources, targets = ([text[:BEGINNING] for text in texts] for texts in (sources, targets))
        if len(sources) < 50 or same_words(sources, targets):
            return None
        codes = [Codes.of(texts) for texts in (sources, targets)]
        counts = [np.bincount(_trigrams(each, characters), minlength=TRIGRAMS) for each in codes]
        shares = [(count + 0.5) / (count.sum() + 0.5 * TRIGRAMS) for count in counts]
        table = np.log(shares[0] / shares[1])
        table[counts[0] + counts[1] < 3] = 0
        made = cls(table.astype(np.float32), 0.0, 0.0)
        usual = []
        for each in codes:
            kinds = characters.meet(each.codes)
            long = each.sums((kinds == LETTER).astype(np.int32)) >= SHORTEST
            if long.sum() < 20:
                return None
            usual.append(float(np.median(made.scores(each, characters)[long])))
        return cls(made.table, *usual) if usual[0] > 0.3 and usual[1] < -0.3 else None

    def scores(self, codes: Codes, characters: Characters) -> np.ndarray:
        """How much each text looks like the source's language: nats per letter, negative for the target's."""
        trigrams = _trigrams(codes, characters)
        values = np.concatenate((self.table[trigrams].astype(np.float64), np.zeros(2)))
        values[np.maximum(codes.ends - 1, 0)] = 0  # these go on in the next text
        return (codes.sums(values) / np.maximum(codes.ends - codes.starts, 1)).astype(np.float32)


def _trigrams(codes: Codes, characters: Characters) -> np.ndarray:
    """A number below TRIGRAMS for each place but the last two: a hash of three characters, in lower case, digits and
    signs left out."""
    kinds = characters.meet(codes.codes)
    lower = np.where(kinds == LETTER, characters.lower[codes.codes], 32).astype(np.uint32)
    with np.errstate(over="ignore"):
        mixed = lower[:-2] * np.uint32(0x9E3779B1)
        mixed += lower[1:-1] * np.uint32(0x85EBCA77) + lower[2:] * np.uint32(0xC2B2AE3D)
        mixed ^= mixed >> np.uint32(15)
    return (mixed * np.uint32(0x2C1B3C6D) >> np.uint32(32 - 17)).astype(np.int32)


def same_words(sources: list[str], targets: list[str]) -> bool:
    """Whether both sides use the same words about as often: then they are in one language."""
    left, right = (_words(texts) for texts in (sources, targets))
    totals = left.total(), right.total()
    if not all(totals):
        return True
    return sum(min(count / totals[0], right[word] / totals[1]) for word, count in left.items()) > ALIKE


def _words(texts: list[str]) -> Counter[str]:
    """How often each word occurs, or in text without spaces each character."""
    spaced = sum(" " in text for text in texts) * 2 > len(texts)
    counts = Counter(word for text in texts for word in (text.lower().split() if spaced else text))
    return Counter({word: count for word, count in counts.items() if any(map(str.isalpha, word))})
