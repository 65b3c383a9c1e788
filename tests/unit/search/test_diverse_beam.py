"""Diverse beam search equals the paper's algorithm, and beam search with one group or no diversity."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
import torch
from contract.combinations import Triple, some_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.search.markov import found, log_prob, random_chain

from seq2seq.search.beam import BeamSearch
from seq2seq.search.diverse_beam import DiverseBeamSearch
from seq2seq.search.forced import forced_log_probs
from seq2seq.types import BOS, EOS, PAD

BOUNDS = {"length_penalty": 0.6, "max_length": 7, "max_length_ratio": 9.0}
VOCAB = 8


def naive(chain: torch.Tensor, size: int, groups: int, diversity: float) -> list[tuple[float, list[int]]]:
    """Score and tokens of each hypothesis, best first: algorithm 1, one candidate at a time."""
    width = size // groups
    growing: list[list[tuple[float, list[int]]]] = [[(0.0, [BOS])] for _ in range(groups)]
    ended: list[list[tuple[float, list[int]]]] = [[] for _ in range(groups)]
    for position in range(1, BOUNDS["max_length"] + 1):
        taken: Counter[int] = Counter()
        for group in range(groups):
            candidates = []
            for total, tokens in growing[group]:
                for token in [EOS] if position == BOUNDS["max_length"] else range(len(chain)):
                    if token not in (PAD, BOS):
                        log_p = total + float(chain[tokens[-1], token].log())
                        candidates.append((log_p - diversity * taken[token], log_p, [*tokens, token]))
            candidates = sorted(candidates, reverse=True)[: 2 * width]
            over = [(log_p / position**0.6, tokens[1:-1]) for _, log_p, tokens in candidates[:width] if EOS in tokens]
            ended[group] = sorted(ended[group] + over, reverse=True)[:width]
            growing[group] = [(log_p, tokens) for _, log_p, tokens in candidates if EOS not in tokens][:width]
            taken.update(tokens[-1] for _, tokens in growing[group])
        if all(len(group) == width for group in ended):
            break
    ranked = sorted((one for group in ended for one in group), reverse=True)
    return [one for place, one in enumerate(ranked) if one[1] not in [tokens for _, tokens in ranked[:place]]]


def in_order(ranked: Iterable[tuple[float, list[int]]]) -> list[list[tuple[int, int]]]:
    """The pairs of adjacent tokens of each target, best first: targets with the same pairs are equally likely, and
    rounding decides which of them a beam keeps."""
    scored = sorted((-round(score, 9), sorted(pairwise([BOS, *tokens, EOS]))) for score, tokens in ranked)
    return [pairs for _, pairs in scored]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from([(2, 2), (4, 2), (6, 3), (6, 2), (3, 3)]),
    diversity=st.sampled_from([0.0, 0.2, 0.8, 50.0]),
)
def test_it_finds_the_hypotheses_of_the_algorithm(seed: int, shape: tuple[int, int], diversity: float) -> None:
    chain, (size, groups) = random_chain(seed, VOCAB), shape
    best = found(DiverseBeamSearch(beam_size=size, groups=groups, diversity=diversity, **BOUNDS), chain)
    expected = naive(chain, size, groups, diversity)
    assert in_order((one.score, one.tokens) for one in best) == in_order(expected)
    assert [hypothesis.score for hypothesis in best] == pytest.approx([score for score, _ in expected])
    for hypothesis in best:
        assert hypothesis.log_prob == pytest.approx(log_prob(hypothesis.tokens, chain))


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 4), prefix=st.lists(st.sampled_from([4, 5]), max_size=2))
def test_one_group_or_no_diversity_equals_beam_search(seed: int, width: int, prefix: list[int]) -> None:
    chain = random_chain(seed, VOCAB)
    beam = found(BeamSearch(beam_size=width, **BOUNDS), chain, prefix)
    assert found(DiverseBeamSearch(beam_size=width, groups=1, diversity=0.7, **BOUNDS), chain, prefix) == beam
    assert found(DiverseBeamSearch(beam_size=3 * width, groups=3, diversity=0.0, **BOUNDS), chain, prefix) == beam


@pytest.mark.parametrize(
    "triple", [Triple("lstm", "coverage", "gru"), Triple("gru", "multihead", "transformer")], ids=str
)
@torch.no_grad()
def test_hypotheses_are_distinct_and_scored_as_in_forced_decoding(triple: Triple) -> None:
    """With caches, the groups' ancestry and sentences that finish earlier."""
    model, batch = triple.model(), some_batch([6, 1, 4], [1, 1, 1])
    search = DiverseBeamSearch(beam_size=6, groups=3, diversity=1.0, coverage_penalty=0.2, **BOUNDS)
    here: dict[str, Any] = {"device": torch.device("cpu"), "tokens_per_batch": 64}
    for row, best in enumerate(search(model, batch.source, batch.source_mask)):
        assert 2 <= len(best) == len({tuple(one.tokens) for one in best}) <= 6
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
        source = batch.source[row, : int(batch.lengths[row]) - 1].tolist()
        log_probs = forced_log_probs(model, [source] * len(best), [one.tokens for one in best], **here)
        assert [one.log_prob for one in best] == pytest.approx(log_probs, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"groups": 4}, "search.groups: expected a divisor of search.beam_size=6, got 4"),
        ({"groups": 0}, "search.groups: expected a divisor of search.beam_size=6, got 0"),
        ({"diversity": -0.5}, "search.diversity: expected 0 or more, got -0.5"),
    ],
)
def test_impossible_groups_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiverseBeamSearch(**({"beam_size": 6, "groups": 3, "diversity": 0.5} | BOUNDS | wrong))
