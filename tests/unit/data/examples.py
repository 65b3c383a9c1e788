"""A small corpus and its prepared form."""

from collections.abc import Iterator
from pathlib import Path

from sample_text import sentences, settings

from seq2seq.config.schema import LengthSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.data.text import TextData
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import Pair

SOURCES, TARGETS = sentences(300), sentences(300, seed=1)
TRAIN = [Pair(source, target) for source, target in zip(SOURCES, TARGETS, strict=True)]
VALID = [Pair("kalo", "mi ter"), Pair("", "be"), Pair("lo\nmi", "", ("r1", "r2")), Pair("ka " * 90, "lo " * 95)]
EMPTY = [Pair("", "a"), Pair("a", ""), Pair(" \t", "a"), Pair("a", "\u2028")]
LENGTH = LengthSettings(max_source=64, max_target=64, overlong="drop")


class Given(TextData):
    """Pairs in memory; counts how often they are read."""

    def __init__(self, **splits: list[Pair]) -> None:
        self.given = splits
        self.read_splits: list[str] = []

    def splits(self) -> tuple[str, ...]:
        return tuple(self.given)

    def read(self, split: str) -> Iterator[Pair]:
        self.read_splits.append(split)
        return iter(self.given[split])

    def fingerprint(self, split: str) -> str:
        return str(self.given[split])


def prepared(cache: Path, data: Given | None = None, **given) -> Prepared:
    options = {"tokenizer": settings(), "length": LENGTH, "seed": 1} | given
    return prepare(data=data or Given(train=TRAIN, valid=VALID), cache=cache, **options)


def texts(corpus: EncodedCorpus, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    numbers = range(len(corpus))
    sources = tokenizer.source.decode([corpus.source(i) for i in numbers])
    return list(zip(sources, tokenizer.target.decode([corpus.target(i) for i in numbers]), strict=True))
