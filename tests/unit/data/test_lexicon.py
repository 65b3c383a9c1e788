"""Translations of tokens, compared with IBM Model 1 written as loops."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seq2seq.config.schema import TRANSLATIONS
from seq2seq.data import lexicon
from seq2seq.data.lexicon import ITERATIONS, NOTHING, Lexicon, learn_lexicon
from seq2seq.types import EOS, PAD

VOCAB = 40


@dataclass(frozen=True)
class Ids:
    """Pairs as flat ids."""

    source_ids: np.ndarray
    source_offsets: np.ndarray
    target_ids: np.ndarray
    target_offsets: np.ndarray

    @property
    def source_lengths(self) -> np.ndarray:
        return np.diff(self.source_offsets)

    @property
    def target_lengths(self) -> np.ndarray:
        return np.diff(self.target_offsets)


def corpus(pairs: list[tuple[list[int], list[int]]]) -> Ids:
    sides = []
    for rows in zip(*pairs, strict=True):
        flat = np.array([token for row in rows for token in row], np.uint16)
        sides += [flat, np.cumsum([0, *map(len, rows)])]
    return Ids(*sides)


def some_pairs(seed: int, count: int = 30) -> list[tuple[list[int], list[int]]]:
    random = np.random.default_rng(seed)
    rows = [random.integers(EOS + 1, 12, random.integers(1, 6)).tolist() for _ in range(2 * count)]
    return list(zip(rows[:count], rows[count:], strict=True))


def by_hand(pairs: list[tuple[list[int], list[int]]]) -> dict[int, dict[int, float]]:
    """p(t | s) after ITERATIONS rounds of expectation and maximisation."""
    p: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(lambda: 1.0))
    for _ in range(ITERATIONS):
        counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for source, target in pairs:
            for t in target:
                total = sum(p[s][t] for s in [NOTHING, *source])
                for s in [NOTHING, *source]:
                    counts[s][t] += p[s][t] / total
        p = defaultdict(lambda: defaultdict(float))
        for s, row in counts.items():
            for t, count in row.items():
                p[s][t] = count / sum(row.values())
    return p


@pytest.mark.parametrize("seed", range(4))
def test_translations_are_sorted_by_probability(seed: int) -> None:
    pairs = some_pairs(seed)
    found, expected = learn_lexicon(corpus(pairs), VOCAB, VOCAB), by_hand(pairs)
    for s in range(VOCAB):
        row = [int(t) for t in found.translations[s] if t != PAD]
        assert sorted(row) == sorted(expected[s])
        likely = [expected[s][t] for t in row]
        assert all(one >= other - 1e-12 for one, other in pairwise(likely))


def test_cipher_is_learned() -> None:
    random = np.random.default_rng(1)
    key = random.permutation(np.arange(EOS + 1, VOCAB))
    sources = [random.integers(EOS + 1, VOCAB, 5) for _ in range(400)]
    pairs = [(source.tolist(), random.permutation(key[source - EOS - 1]).tolist()) for source in sources]
    assert (learn_lexicon(corpus(pairs), VOCAB, VOCAB).translations[EOS + 1 :, 0] == key).all()


def test_only_a_part_of_a_large_corpus_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = some_pairs(0)
    links = sum((len(source) + 1) * len(target) for source, target in pairs)
    part = pairs[:: -(-links // 60)]
    assert len(part) < len(pairs)
    expected = learn_lexicon(corpus(part), VOCAB, VOCAB)
    monkeypatch.setattr(lexicon, "LINKS", 60)
    found = learn_lexicon(corpus(pairs), VOCAB, VOCAB)
    assert (found.translations == expected.translations).all()
    assert (found.frequent != expected.frequent).any()  # these are counted in all pairs


def test_number_of_translations_is_limited() -> None:
    many = list(range(EOS + 1, EOS + 1 + 2 * TRANSLATIONS))
    found = learn_lexicon(corpus([([5], many)]), 8, len(many) + EOS + 1)
    assert found.translations.shape == (8, TRANSLATIONS)
    assert (found.translations[5] != PAD).all()


def test_lexicon_is_saved_and_loaded(tmp_path: Path) -> None:
    found = learn_lexicon(corpus(some_pairs(0)), VOCAB, VOCAB)
    found.save(tmp_path / "lexicon.npz")
    again = Lexicon.load(tmp_path / "lexicon.npz", VOCAB, VOCAB)
    assert (again.translations == found.translations).all()
    assert (again.frequent == found.frequent).all()
    counts = np.bincount(corpus(some_pairs(0)).target_ids, minlength=VOCAB)[found.frequent]
    assert (np.diff(counts) <= 0).all()
