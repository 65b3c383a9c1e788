"""Constraints on search: length limits, no repeated n-grams, given prefixes."""

import itertools
from typing import Any

import pytest
import torch
from contract.combinations import Triple, some_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.search.markov import VOCAB, found, log_prob, random_chain, rising_chain

from seq2seq.model.model import Model
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.constraints import Constraints
from seq2seq.search.decode import decode
from seq2seq.search.diverse_beam import DiverseBeamSearch
from seq2seq.search.forced import forced_log_probs
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.types import BOS, EOS

KINDS = ["greedy", "beam", "diverse", "sampling"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def search(kind: str, **bounds: Any) -> Search:
    """A search of this kind with these bounds."""
    bounds = {"max_length": 9, "max_length_ratio": 9.0} | bounds
    if kind == "greedy":
        return GreedySearch(**bounds)
    if kind == "sampling":
        return SamplingSearch(samples=3, temperature=1.0, top_k=None, top_p=None, seed=1, **bounds)
    if kind == "diverse":
        return DiverseBeamSearch(beam_size=4, groups=2, diversity=0.5, length_penalty=1.0, **bounds)
    return BeamSearch(beam_size=3, length_penalty=1.0, **bounds)


def ngrams(tokens: list[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def repeats(tokens: list[int], n: int) -> bool:
    return len(set(ngrams(tokens, n))) < len(ngrams(tokens, n))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), n=st.integers(1, 3), least=st.integers(0, 14))
def test_no_search_repeats_a_blocked_ngram(seed: int, kind: str, n: int, least: int) -> None:
    """With only three tokens, where soon none is allowed; log-probabilities remain the model's."""
    chain = random_chain(seed)
    best = found(search(kind, no_repeat_ngram=n, min_length=least, max_length=14), chain)
    assert best
    for hypothesis in best:
        assert not repeats(hypothesis.tokens, n)
        assert hypothesis.log_prob == pytest.approx(log_prob(hypothesis.tokens, chain))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), n=st.integers(1, 3))
def test_blocking_changes_nothing_without_repetitions(seed: int, kind: str, n: int) -> None:
    chain = rising_chain(seed, vocab=9)
    assert found(search(kind, no_repeat_ngram=n), chain) == found(search(kind), chain)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 3))
def test_greedy_differs_only_where_it_would_repeat(seed: int, n: int) -> None:
    chain = random_chain(seed)
    (free,), (blocked,) = (found(search("greedy", no_repeat_ngram=each), chain) for each in (0, n))
    differs = next((i for i, (a, b) in enumerate(zip(free.tokens, blocked.tokens, strict=False)) if a != b), None)
    if differs is None:
        differs = min(len(free.tokens), len(blocked.tokens))
    assert repeats(free.tokens[: differs + 1], n) == (free.tokens != blocked.tokens)


def test_tokens_that_would_repeat_an_ngram_are_blocked() -> None:
    tokens = torch.tensor([[[BOS, 4, 5, 6, 4, 5], [BOS, 7, 7, 7, 7, 7]]])
    blocked = {1: [{4, 5, 6}, {7}], 2: [{6}, {7}], 3: [{6}, {7}], 4: [set(), {7}], 7: [set(), set()]}
    for n, expected in blocked.items():
        rules = Constraints(limits=torch.tensor([99]), prefix=None, no_repeat_ngram=n)
        allowed = rules.restrict(torch.zeros(1, 2, 9), tokens)
        assert [set((row == -torch.inf).nonzero().flatten().tolist()) - {0, BOS} for row in allowed[0]] == expected, n


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    bounds=st.integers(1, 12).flatmap(lambda most: st.tuples(st.integers(0, most), st.just(most))),
    ratio=st.sampled_from([0.0, 9.0]),
)
def test_lengths_are_within_their_bounds(seed: int, kind: str, bounds: tuple[int, int], ratio: float) -> None:
    least, most = bounds
    best = found(search(kind, min_length=least, max_length=most, max_length_ratio=ratio), random_chain(seed))
    assert best
    for hypothesis in best:
        assert least <= len(hypothesis.tokens) + 1 <= most


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), least=st.integers(1, 4))
def test_a_wide_beam_finds_the_best_of_all_long_enough_targets(seed: int, least: int) -> None:
    chain = random_chain(seed)
    lengths = range(least - 1, 4)
    every = (list(tokens) for length in lengths for tokens in itertools.product((1, 4, 5), repeat=length))
    wide = BeamSearch(beam_size=60, length_penalty=0.0, max_length=4, max_length_ratio=0.0, min_length=least)
    assert found(wide, chain)[0].tokens == max(every, key=lambda tokens: log_prob(tokens, chain))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    prefix=st.lists(st.sampled_from([1, 4, 5]), max_size=12),
    n=st.integers(0, 2),
)
def test_targets_begin_with_their_prefix(seed: int, kind: str, prefix: list[int], n: int) -> None:
    """Whatever its length and its repetitions; log-probabilities include it."""
    chain = random_chain(seed)
    best = found(search(kind, no_repeat_ngram=n, max_length=6), chain, prefix)
    assert best
    for hypothesis in best:
        assert hypothesis.tokens[: len(prefix)] == prefix
        assert hypothesis.log_prob == pytest.approx(log_prob(hypothesis.tokens, chain))
        assert len(hypothesis.tokens) < max(6, len(prefix) + 1)
    if not n:
        assert found(search(kind, max_length=6), chain, []) == found(search(kind, max_length=6), chain)


def real_model() -> Model:
    return Triple("lstm", "bahdanau", "lstm", (("attend", "after"), ("input_feeding", True))).model()


HERE: dict[str, Any] = {"device": torch.device("cpu"), "tokens_per_batch": 12}
SENTENCES = [[5, 6, 7, 8, 9, 10], [], [7], [9, 9, 9]]


@every_kind
def test_each_sentence_of_a_batch_has_its_own_prefix(kind: str) -> None:
    """With a prefix of its answer, greedy search and the same draws give the answer again; every log-probability is
    the model's."""
    model, rule = real_model(), search(kind, min_length=5)
    answers = decode(model, rule, SENTENCES, **HERE)
    pairs: list[tuple[list[int], Hypothesis]] = []
    for share in (1, 2, 4):
        prefixes = [best[0].tokens[: share * ((number + 1) % 3)] for number, best in enumerate(answers)]
        again = decode(model, rule, SENTENCES, prefixes=prefixes, **HERE)
        for source, prefix, before, now in zip(SENTENCES, prefixes, answers, again, strict=True):
            assert all(hypothesis.tokens[: len(prefix)] == prefix for hypothesis in now)
            if kind in ("greedy", "sampling"):  # a beam may find a better one
                assert before[0].tokens in [hypothesis.tokens for hypothesis in now]
            pairs += [(source, hypothesis) for hypothesis in now if source]  # an empty one is not decoded
    sources, targets = [source for source, _ in pairs], [hypothesis.tokens for _, hypothesis in pairs]
    log_probs = forced_log_probs(model, sources, targets, **HERE | {"tokens_per_batch": 1000})
    assert [hypothesis.log_prob for _, hypothesis in pairs] == pytest.approx(log_probs, abs=1e-9)


def test_an_empty_source_with_a_prefix_is_decoded() -> None:
    free, prefixed = decode(real_model(), search("beam"), [[], []], prefixes=[[], [9, 8]], **HERE)
    assert (free[0].tokens, free[0].log_prob) == ([], 0.0)
    assert prefixed[0].tokens[:2] == [9, 8]
    assert prefixed[0].log_prob < 0


@torch.no_grad()
def test_min_length_overrides_the_limit_of_the_source() -> None:
    model, batch = real_model(), some_batch([6, 1], [1, 1])
    model.generator.output.bias[EOS] = -50.0  # never ends by itself
    rule = search("greedy", max_length_ratio=1.0, max_length=40, min_length=15)
    lengths = [len(best[0].tokens) + 1 for best in rule(model, batch.source, batch.source_mask)]
    assert lengths == [17, 15]  # 7 + 10, and more than 2 + 10


@every_kind
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_length": 10}, "search.min_length: expected 0 to search.max_length=9, got 10"),
        ({"min_length": -1}, "search.min_length: expected 0 to search.max_length=9, got -1"),
        ({"no_repeat_ngram": -1}, r"search.no_repeat_ngram: expected 0 \(off\) or more, got -1"),
        ({"max_length": 0}, "search.max_length: expected 1 or more, got 0"),
        ({"max_length_ratio": -1.0, "min_length": 11}, r"search.max_length_ratio: expected 0.*\nsearch.min_length: "),
    ],
)
def test_impossible_bounds_are_refused(kind: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(kind, **wrong)


def test_a_hypothesis_that_can_only_repeat_itself_ends() -> None:
    """Even before its minimum length."""
    chain = torch.zeros(VOCAB, VOCAB, dtype=torch.float64)
    chain[:, 4], chain[:, EOS] = 0.9, 0.1
    for kind in KINDS:
        best = found(search(kind, no_repeat_ngram=1, min_length=8), chain)
        assert [hypothesis.tokens for hypothesis in best][:1] == [[4]], kind
