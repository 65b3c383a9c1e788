"""Statistics of texts compared with their sources and references: new words, copies, repetitions, lengths, names."""

from collections.abc import Callable, Sequence
from statistics import fmean

from seq2seq.metrics import names
from seq2seq.metrics.base import References
from seq2seq.metrics.copying import Words, coverage, density, novel_share, repeated_share
from seq2seq.metrics.words import UnicodeWords

Statistics = dict[str, float | None]
LONGEST_NOVEL, REPEATED = 4, 3  # n of the n-grams


def compare_texts(texts: Sequence[str], sources: Sequence[str], references: References) -> dict[str, Statistics]:
    """`describe` of the system's texts (`output`) and of all references (`references`), for comparison.

    `names_recall` is only for the output: a reference has all its names.
    """
    flat = [reference for several in references for reference in several]
    their_sources = [source for source, several in zip(sources, references, strict=True) for _ in several]
    around = [several for several in references for _ in several]
    return {
        "output": {
            **describe(texts, sources, references),
            "names_recall": names.recall(texts, sources, references),
        },
        "references": {**describe(flat, their_sources, around), "names_recall": None},
    }


def describe(texts: Sequence[str], sources: Sequence[str], references: References) -> Statistics:
    """Shares, 0 to 1, as means over the texts that have such n-grams (or words); None if none has.

    novel_Ngrams: of its different n-grams, those not in its source. copy_rate: of its words, those also in its source
    (extractive fragment coverage); copy_density: the mean length of the copied fragment around a word, in words.
    repeated_3grams: of its 3-grams, those that occurred earlier in it. words: the mean length; length_to_references,
    length_to_source: all its words over all of theirs (of several references, their mean). names_precision: of its
    names and numbers, those also in its source, over all texts. Words are those of `UnicodeWords`: lower-cased, without
    punctuation, not stemmed.
    """
    split = UnicodeWords().tokenize
    own, theirs = [split(text) for text in texts], [split(source) for source in sources]
    found: Statistics = {
        f"novel_{n}grams": _mean(own, theirs, lambda text, source, n=n: novel_share(text, source, n))  # type: ignore[misc]
        for n in range(1, LONGEST_NOVEL + 1)
    }
    found["copy_rate"] = _mean(own, theirs, coverage)
    found["copy_density"] = _mean(own, theirs, density)
    found[f"repeated_{REPEATED}grams"] = _mean(own, theirs, lambda text, _: repeated_share(text, REPEATED))
    total = sum(map(len, own))
    found["words"] = total / len(own)
    found["length_to_references"] = _ratio(total, sum(fmean(map(len, map(split, several))) for several in references))
    found["length_to_source"] = _ratio(total, sum(map(len, theirs)))
    found["names_precision"] = names.precision(texts, sources)
    return found


def _mean(
    texts: Sequence[Words], sources: Sequence[Words], figure: Callable[[Words, Words], float | None]
) -> float | None:
    values = [value for text, source in zip(texts, sources, strict=True) if (value := figure(text, source)) is not None]
    return fmean(values) if values else None


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None
