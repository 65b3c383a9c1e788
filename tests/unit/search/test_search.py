"""Search: the beam finds what exhaustive search finds, limits hold, samples follow the model's distribution."""

import itertools
from typing import Any

import pytest
import torch
from contract.combinations import Triple, some_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.search.markov import TOKENS, found, log_prob, random_chain

from seq2seq.model.model import Model
from seq2seq.search.base import Hypothesis
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.draws import streams, uniforms
from seq2seq.search.forced import forced_log_probs
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.types import BOS, EOS, PAD

MARKOV = torch.tensor(  # p(next | last) over <pad> <unk> <s> </s> a b
    [
        [0, 0, 0, 0, 0, 0],
        [0, 0.1, 0, 0.4, 0.3, 0.2],
        [0, 0.1, 0, 0.1, 0.45, 0.35],
        [0, 0, 0, 1, 0, 0],
        [0, 0.05, 0, 0.15, 0.5, 0.3],
        [0, 0.05, 0, 0.6, 0.15, 0.2],
    ],
    dtype=torch.float64,
)


def score(tokens: list[int]) -> float:
    """log p of a target in the chain above, including EOS."""
    return log_prob(tokens, MARKOV)


def markov_beams(chain: torch.Tensor = MARKOV, **changes: Any) -> list[Hypothesis]:
    defaults = {"beam_size": 4, "length_penalty": 0.0, "max_length": 4, "max_length_ratio": 0.0}
    return found(BeamSearch(**(defaults | changes)), chain)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), penalty=st.sampled_from([0.0, 0.7, 1.0]))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed: int, penalty: float) -> None:
    """Of any chain of three tokens and EOS."""
    chain = random_chain(seed)
    ranked = sorted(
        (log_prob(list(tokens), chain) / (len(tokens) + 1) ** penalty, tokens)
        for length in range(4)
        for tokens in itertools.product(TOKENS, repeat=length)
    )
    best = markov_beams(chain, beam_size=60, length_penalty=penalty)
    assert (best[0].score, tuple(best[0].tokens)) == (pytest.approx(ranked[-1][0]), ranked[-1][1])
    assert [h.score for h in best] == sorted((h.score for h in best), reverse=True)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), beam_size=st.integers(1, 6))
def test_hypotheses_are_distinct_and_scored_by_the_chain(seed: int, beam_size: int) -> None:
    chain = random_chain(seed)
    best = markov_beams(chain, beam_size=beam_size, max_length=6)
    assert len(best) == len({tuple(h.tokens) for h in best}) == beam_size
    for hypothesis in best:
        assert hypothesis.log_prob == pytest.approx(log_prob(hypothesis.tokens, chain))


def test_every_hypothesis_ends_at_the_limit() -> None:
    for hypothesis in markov_beams(max_length=2):
        assert len(hypothesis.tokens) <= 1
        assert hypothesis.log_prob == pytest.approx(score(hypothesis.tokens))


def test_a_beam_size_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="beam_size"):
        BeamSearch(beam_size=0, length_penalty=1.0, max_length=9, max_length_ratio=1.0)


def real_model() -> Model:
    return Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True))).model()


@torch.no_grad()
def test_limits_depend_on_the_source() -> None:
    model, batch = real_model(), some_batch([6, 1], [1, 1])
    model.generator.output.bias[EOS] = -50.0  # never ends by itself
    ended = GreedySearch(max_length=14, max_length_ratio=1.0)(model, batch.source, batch.source_mask)
    assert [len(hypotheses[0].tokens) for hypotheses in ended] == [13, 11]  # 14, and 2 * 1.0 + 10, including EOS


@torch.no_grad()
def test_search_never_generates_padding_or_bos() -> None:
    model, batch = real_model(), some_batch([6, 1], [1, 1])
    model.generator.output.bias[[PAD, BOS]] = 50.0
    for hypotheses in BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)(
        model, batch.source, batch.source_mask
    ):
        assert all(not {PAD, BOS} & set(hypothesis.tokens) for hypothesis in hypotheses)


HERE: dict[str, Any] = {"device": torch.device("cpu"), "tokens_per_batch": 12}


def test_decoding_keeps_the_order_and_the_training_mode() -> None:
    model = real_model().train()
    sentences = [[5, 6, 7, 8, 9, 10], [], [7], [9, 9, 9]]
    search = BeamSearch(beam_size=2, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    counted: list[int] = []
    together = decode(model, search, sentences, **HERE, on_batch=counted.append)
    assert model.training
    assert sum(counted) == 3
    assert together[1][0].tokens == []
    for sentence, hypotheses in zip(sentences, together, strict=True):
        alone = decode(model, search, [sentence], **HERE)[0]
        assert [h.tokens for h in alone] == [h.tokens for h in hypotheses]


SAMPLING = {"temperature": 1.0, "top_k": None, "top_p": None, "seed": 1, "max_length": 9, "max_length_ratio": 1.0}


@torch.no_grad()
def test_samples_repeat_by_seed_and_are_sorted_by_score() -> None:
    model, batch = real_model(), some_batch([6, 1], [1, 1])
    search = SamplingSearch(samples=3, **SAMPLING)
    first = search(model, batch.source, batch.source_mask)
    assert first == search(model, batch.source, batch.source_mask)
    other = SamplingSearch(samples=3, **(SAMPLING | {"seed": 2}))(model, batch.source, batch.source_mask)
    assert first != other
    for hypotheses in first:
        assert len(hypotheses) == 3
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@pytest.mark.parametrize("cut", [{}, {"top_k": 3}, {"top_p": 0.5}, {"temperature": 0.5}], ids=str)
def test_samples_are_scored_by_the_models_log_probs(cut: dict[str, Any]) -> None:
    """Those of the whole distribution, whatever the samples are drawn from."""
    model, sentences = real_model(), [[5, 6, 7, 8, 9, 10], [7]]
    drawn = decode(model, SamplingSearch(samples=3, **(SAMPLING | cut)), sentences, **HERE)
    pairs = [(source, one) for source, samples in zip(sentences, drawn, strict=True) for one in samples]
    sources, targets = [source for source, _ in pairs], [one.tokens for _, one in pairs]
    expected = pytest.approx(forced_log_probs(model, sources, targets, **HERE), abs=1e-9)
    assert [one.log_prob for _, one in pairs] == [one.score for _, one in pairs] == expected


@torch.no_grad()
@pytest.mark.parametrize("cut", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-4}])
def test_the_narrowest_sampling_equals_greedy(cut: dict[str, Any]) -> None:
    model, batch = real_model(), some_batch([6, 1], [1, 1])
    drawn = SamplingSearch(samples=1, **(SAMPLING | cut))(model, batch.source, batch.source_mask)
    greedy = GreedySearch(max_length=9, max_length_ratio=1.0)(model, batch.source, batch.source_mask)
    for (one,), (other,) in zip(drawn, greedy, strict=True):
        assert one.tokens == other.tokens
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-9)


def test_draws_follow_the_truncated_distribution() -> None:
    log_probs = torch.tensor([[[0.5, 0.3, 0.15, 0.05]]]).log().expand(1, 4000, 4)
    random = uniforms(streams(0, torch.tensor([3]), 4000), 1)

    def shares(**cut: Any) -> list[float]:
        drawn = SamplingSearch(samples=1, **(SAMPLING | cut))._draw(log_probs, random)
        return [float((drawn == token).double().mean()) for token in range(4)]

    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert shares(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert shares(top_p=0.7) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert shares(temperature=0.5) == pytest.approx([0.685, 0.247, 0.062, 0.007], abs=0.03)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"temperature": 0.0}, {"top_k": 0}, {"top_p": 1.5}])
def test_impossible_sampling_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="search"):
        SamplingSearch(**({"samples": 1} | SAMPLING | wrong))
