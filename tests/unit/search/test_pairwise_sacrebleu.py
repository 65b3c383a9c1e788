"""chrF, chrF++ and BLEU between all pairs of texts equal sacreBLEU's sentence scores."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from seq2seq.search.common_ngrams import common_ngrams
from seq2seq.search.pairwise_bleu import pairwise_bleu
from seq2seq.search.pairwise_chrf import pairwise_chrf

TEXTS = [
    "",
    " \t\u3000",
    "a",
    "the the the the the the",
    "the cat sat on the mat",
    "the cat sat on the mat.",
    "the the cat, on a mat (the mat)!",
    "Zwei Männer sitzen auf einer Bank.",
    "Zwei Manner sitzen auf der Bank , und lesen .",
    "две собаки играют в снегу",
    "две собаки бегут по снегу, играя",
    "天气很好,我们去公园。",
    "天气不好",
    "दो कुत्ते बर्फ में खेल रहे हैं।",
    "كلبان يلعبان في الثلج",
    "สุนัขสองตัวเล่นในหิมะ",
    "\u1112\u1161\u11ab 한국어 e\u0301 é 🐕🐕\u200d🦺",
    "3.5 &quot;x&amp;y&quot; <skipped> 1,000-2 U.S.A.",
]
random_texts = st.lists(st.text("ab é.,(猫д\u0301 🐕", max_size=14), min_size=1, max_size=4)


def by_sacrebleu(metric: BLEU | CHRF, left: list[str], right: list[str]) -> torch.Tensor:
    scores = [[metric.sentence_score(one, [other]).score / 100 for other in right] for one in left]
    return torch.tensor(scores, dtype=torch.float64)


def our_bleu(tokenize: str, left: list[str], right: list[str]) -> torch.Tensor:
    def words(text: str) -> tuple[str, ...]:
        return tuple(BLEU(tokenize=tokenize)._preprocess_segment(text).split())

    return pairwise_bleu([words(text) for text in left], [words(text) for text in right])


def check_chrf(word_order: int, left: list[str], right: list[str]) -> None:
    expected = by_sacrebleu(CHRF(word_order=word_order), left, right)
    torch.testing.assert_close(pairwise_chrf(left, right, word_order), expected, atol=1e-9, rtol=0)


def check_bleu(tokenize: str, left: list[str], right: list[str]) -> None:
    expected = by_sacrebleu(BLEU(tokenize=tokenize, effective_order=True), left, right)
    torch.testing.assert_close(our_bleu(tokenize, left, right), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_of_a_table_of_texts(word_order: int) -> None:
    check_chrf(word_order, TEXTS, TEXTS[::-1])


@pytest.mark.parametrize("word_order", [0, 2])
@given(left=random_texts, right=random_texts)
def test_chrf_of_random_texts(word_order: int, left: list[str], right: list[str]) -> None:
    check_chrf(word_order, left, [*right, left[0]])


@pytest.mark.parametrize("tokenize", ["13a", "char", "zh"])
def test_bleu_of_a_table_of_texts(tokenize: str) -> None:
    check_bleu(tokenize, TEXTS, TEXTS[::-1])


@given(left=random_texts, right=random_texts)
def test_bleu_of_random_texts(left: list[str], right: list[str]) -> None:
    check_bleu("13a", left, [*right, left[0]])
    check_bleu("char", left, right)


@given(st.lists(st.lists(st.sampled_from([3, 5, 900000]), max_size=8), min_size=1, max_size=4))
def test_common_ngrams_are_the_smaller_counts(texts: list[list[int]]) -> None:
    shared, totals = common_ngrams(texts, 3)
    for n in (1, 2, 3):
        counts = [Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for text in texts]
        assert totals[n - 1].tolist() == [count.total() for count in counts]
        expected = [(one & other).total() for one, other in itertools.product(counts, repeat=2)]
        assert np.array_equal(shared[n - 1], np.reshape(expected, (len(texts), len(texts))))
