"""Minimum-risk search ranks by agreement with the model's samples, compared with plain Python."""

import io
import itertools
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from sentencepiece import SentencePieceTrainer
from unit.search.markov import found, log_prob, random_chain

from seq2seq.metrics.words import UnicodeWords
from seq2seq.search.base import Hypothesis
from seq2seq.search.beam import BeamSearch
from seq2seq.search.minimum_risk import MinimumRiskSearch
from seq2seq.search.pairwise_rouge import pairwise_rouge
from seq2seq.search.sampling import SamplingSearch
from seq2seq.search.utilities import Type, Unit
from seq2seq.tokenizer import Vocabulary
from seq2seq.types import BOS, EOS, PAD, UNK

VOCAB = 8
BOUNDS: dict[str, Any] = {"max_length": 7, "max_length_ratio": 9.0}
DRAWING: dict[str, Any] = {"samples": 12, "temperature": 1.0, "top_k": None, "top_p": None, "seed": 3, **BOUNDS}
BEAM: dict[str, Any] = {"beam_size": 3, "length_penalty": 1.0, "candidates": "all"}
PLAIN_BEAM: dict[str, Any] = {"beam_size": 3, "length_penalty": 1.0, **BOUNDS}
texts = st.lists(st.sampled_from([4, 5, 6]), max_size=7)


def common(left: list[int], right: list[int]) -> int:
    """The longest common subsequence, from its definition."""
    if not left or not right:
        return 0
    if left[0] == right[0]:
        return 1 + common(left[1:], right[1:])
    return max(common(left[1:], right), common(left, right[1:]))


def f1(left: list[int], right: list[int]) -> float:
    both = len(left) + len(right)
    return 2 * common(left, right) / both if both else 1.0


def unigram_f1(left: list[int], right: list[int]) -> float:
    both = len(left) + len(right)
    return 2 * (Counter(left) & Counter(right)).total() / both if both else 1.0


@given(left=st.lists(texts, min_size=1, max_size=4), right=st.lists(texts, min_size=1, max_size=4))
def test_agreement_is_the_f1_of_common_tokens(left: list[list[int]], right: list[list[int]]) -> None:
    longest = torch.tensor([[f1(one, other) for other in right] for one in left])
    shared = torch.tensor([[unigram_f1(one, other) for other in right] for one in left])
    torch.testing.assert_close(pairwise_rouge(left, right), longest)
    torch.testing.assert_close(pairwise_rouge(left, right, ["rouge1"]), shared)
    torch.testing.assert_close(pairwise_rouge(left, right, ["rouge1", "rougeL"]), (longest + shared) / 2)


@pytest.fixture(scope="module")
def letters() -> Vocabulary:
    """A vocabulary whose pieces are a few letters, a comma and the space before a word."""
    model, texts = io.BytesIO(), ["sing, as is", "gas, gains"]
    ids = {"pad_id": PAD, "unk_id": UNK, "bos_id": BOS, "eos_id": EOS, "hard_vocab_limit": False, "minloglevel": 2}
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type="char", vocab_size=40, **ids
    )
    return Vocabulary(model.getvalue())


@pytest.mark.parametrize("types", [["rouge1"], ["rougeL"], ["rouge1", "rougeL"]])
@pytest.mark.parametrize("unit", ["words", "stems"])
@pytest.mark.parametrize("seed", range(3))
def test_candidates_are_ranked_by_the_rouge_of_their_texts(
    seed: int, unit: Unit, types: list[Type], letters: Vocabulary
) -> None:
    chain = random_chain(seed, letters.size)
    chain[:, [UNK, EOS]] *= 0.2
    drawing = {**DRAWING, "max_length": 24, "max_length_ratio": 20.0}
    ranked = found(MinimumRiskSearch(**drawing, **BEAM, unit=unit, types=types).reading(letters), chain)
    drawn = [one.tokens for one in found(SamplingSearch(**drawing), chain)]
    scorer = RougeScorer(types, unit == "stems", tokenizer=UnicodeWords() if unit == "words" else None)
    for one in ranked:
        text = letters.decode([one.tokens])[0]
        others = drawn.copy()
        if one.tokens in others:
            others.remove(one.tokens)
        samples = letters.decode(others)
        empty = not scorer._tokenizer.tokenize(text)  # two without words are equal; rouge-score gives 0
        scores = [(scorer.score(other, text), empty and not scorer._tokenizer.tokenize(other)) for other in samples]
        each = [1.0 if same else score[name].fmeasure for score, same in scores for name in types]
        assert one.score == pytest.approx(sum(each) / len(each), abs=1e-6)
    tokens = found(MinimumRiskSearch(**drawing, **BEAM, types=types).reading(letters), chain)
    assert [one.score for one in tokens] != pytest.approx([one.score for one in ranked], abs=1e-3)


@pytest.mark.parametrize("types", [["chrf"], ["chrf++"], ["bleu"], ["bleu", "rougeL", "chrf"]])
def test_candidates_are_ranked_by_the_sentence_scores_of_their_texts(types: list[Type], letters: Vocabulary) -> None:
    chain = random_chain(1, letters.size)
    drawing = {**DRAWING, "max_length": 24, "max_length_ratio": 20.0}
    ranked = found(MinimumRiskSearch(**drawing, **BEAM, types=types).reading(letters), chain)
    drawn = [one.tokens for one in found(SamplingSearch(**drawing), chain)]
    metrics = {"chrf": CHRF(), "chrf++": CHRF(word_order=2), "bleu": BLEU(effective_order=True)}

    def score(name: Type, one: list[int], other: list[int]) -> float:
        if name == "rougeL":
            return float(pairwise_rouge([one], [other]))  # tested above; f1 is slow for long texts
        text, reference = letters.decode([one, other])
        return float(metrics[name].sentence_score(text, [reference]).score) / 100

    assert len(ranked) > 12
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    for one in ranked:
        others = drawn.copy()
        if one.tokens in others:
            others.remove(one.tokens)
        each = [score(name, one.tokens, other) for other in others for name in types]
        assert one.score == pytest.approx(sum(each) / len(each), abs=1e-6 if "rougeL" in types else 1e-9)


@pytest.mark.parametrize("given", [{"unit": "words"}, {"types": ["chrf"]}, {"types": ["rouge1", "bleu"]}])
def test_comparing_texts_needs_a_vocabulary(given: dict[str, Any]) -> None:
    key = r"unit=words" if "unit" in given else rf"types=\[{','.join(given['types'])}\]"
    with pytest.raises(RuntimeError, match=rf"search\.{key}: the search was given no vocabulary"):
        found(MinimumRiskSearch(**DRAWING, **BEAM, **given), random_chain(0, VOCAB))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("beam_size", "candidates"), [(0, "all"), (3, "all"), (3, "beam")])
def test_candidates_are_ranked_by_their_agreement_with_the_samples(seed: int, beam_size: int, candidates: str) -> None:
    chain = random_chain(seed, VOCAB)
    ranked = found(MinimumRiskSearch(**DRAWING, **BEAM | {"beam_size": beam_size, "candidates": candidates}), chain)
    samples = [one.tokens for one in found(SamplingSearch(**DRAWING), chain)]
    competing = samples if candidates == "all" else []
    beams = [one.tokens for one in found(BeamSearch(**PLAIN_BEAM), chain)] if beam_size else []
    assert sorted(one.tokens for one in ranked) == sorted(map(list, {tuple(one) for one in competing + beams}))
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    for one in ranked:
        others = samples.copy()
        if one.tokens in others:
            others.remove(one.tokens)
        assert one.score == pytest.approx(sum(f1(one.tokens, other) for other in others) / len(others))
        assert one.log_prob == pytest.approx(log_prob(one.tokens, chain))


def test_a_less_likely_target_may_be_best() -> None:
    """The empty target is the likeliest, but the others are similar and have nothing in common with it."""
    chain = torch.zeros(VOCAB, VOCAB, dtype=torch.float64)
    chain[2, 3], chain[2, 4], chain[2, 5], chain[2, 6] = 0.28, 0.24, 0.24, 0.24
    chain[4:7, 7], chain[7, 3], chain[3, 3] = 1.0, 1.0, 1.0
    best = found(MinimumRiskSearch(**DRAWING | {"samples": 60}, **BEAM), chain)[0]
    assert found(BeamSearch(**BOUNDS, beam_size=3, length_penalty=0.0), chain)[0].tokens == []
    assert len(best.tokens) == 2


def test_a_sample_is_not_compared_with_itself() -> None:
    """One sample has nothing in common with the others."""
    search = MinimumRiskSearch(**DRAWING, **BEAM)
    alone, beam, *similar = (Hypothesis(tokens, -1.0, -1.0) for tokens in ([7, 7], [4, 5], [4, 6], [5, 4, 6]))
    ranked = search._ranked([beam, alone, *similar], [alone, *similar])
    assert {tuple(one.tokens): one.score for one in ranked} == pytest.approx(
        {(4, 5): (0.5 + 0.4) / 3, (4, 6): 0.8 / 2, (5, 4, 6): 0.8 / 2, (7, 7): 0.0}
    )
    assert [one.tokens for one in search._ranked([beam, alone], [alone])] == [[4, 5], [7, 7]]


def test_the_constraints_of_every_search_hold() -> None:
    """Without them each is broken."""
    chain = random_chain(1, VOCAB)
    free = found(MinimumRiskSearch(**DRAWING, **BEAM), chain)
    bound = found(MinimumRiskSearch(**DRAWING, **BEAM, min_length=6, no_repeat_ngram=2), chain, [4, 5])
    rules: list[Callable[[list[int]], bool]] = [
        lambda tokens: tokens[:2] == [4, 5],
        lambda tokens: len(tokens) + 1 >= 6,
        lambda tokens: len(set(itertools.pairwise(tokens))) == len(list(itertools.pairwise(tokens))),
    ]
    assert bound
    for rule in rules:
        assert all(rule(one.tokens) for one in bound)
        assert not all(rule(one.tokens) for one in free)


def test_the_number_of_hypotheses_it_finds_at_most() -> None:
    assert MinimumRiskSearch(**DRAWING, **BEAM).most == 15
    assert MinimumRiskSearch(**DRAWING, **BEAM | {"beam_size": 0}).most == 12
    assert MinimumRiskSearch(**DRAWING, **BEAM | {"candidates": "beam"}).most == 3


def test_impossible_beams_are_refused() -> None:
    with pytest.raises(ValueError, match=r"search\.beam_size: expected 0 \(no beam search\) or more, got -1"):
        MinimumRiskSearch(**DRAWING, **BEAM | {"beam_size": -1})
    with pytest.raises(ValueError, match=r"search\.candidates=beam: there is no beam with search\.beam_size=0"):
        MinimumRiskSearch(**DRAWING, **BEAM | {"beam_size": 0, "candidates": "beam"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"types": []}, "search.types: expected one or more of rouge1, rougeL, chrf, chrf++ and bleu, each once"),
        ({"types": ["chrf", "chrf"]}, "search.types: expected one or more of rouge1, rougeL, chrf, chrf++ and bleu, "),
        (
            {"types": ["chrf", "bleu"], "unit": "stems"},
            "search.unit: expected tokens, as only rouge1 and rougeL have units, not search.types=[chrf,bleu]",
        ),
        (
            {"types": ["chrf"], "tokenize": "zh"},
            "search.tokenize: expected 13a, as only bleu has a tokenizer, not search.types=[chrf]",
        ),
        ({"types": ["bleu"], "tokenize": "13b"}, "search.tokenize: expected 13a, intl, char, zh, .*, got 13b"),
    ],
)
def test_wrong_utilities_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    pattern = message if ".*" in message else re.escape(message)
    with pytest.raises(ValueError, match=rf"^{pattern}.*$"):
        MinimumRiskSearch(**DRAWING, **BEAM, **given)
