"""The laws that every legal combination of configs/ obeys: float64, eval mode, tolerance 1e-9."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from contract.combinations import (
    VOCAB,
    Triple,
    choice,
    legal_triples,
    legal_variations,
    one_of_each_kind,
    rows_of,
    some_batch,
)

from seq2seq.adapter.lora import Lora
from seq2seq.checkpoint.weights import load_model, model_tensors
from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.model import Model
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.shortlists import Shortlisted
from seq2seq.types import BOS, EOS, Batch, Weights

TOLERANCE = 1e-9
TRIPLES = [*legal_triples(), *legal_variations()]
# Only the first test checks the shapes of every triple.
without_shape_checks = pytest.mark.usefixtures("without_shape_checks")
# A shortlist affects the generator: test every generator, and every other part once.
SHORTLISTED = [one for one in TRIPLES if one.attention == "multihead" or ("generator", "pointer") in one.others]
SOURCES, TARGETS = [6, 1, 4], [3, 5, 0]
LIMITS = {"max_length": 6, "max_length_ratio": 1.0}


def every_triple(turn: int, among: Sequence[Triple] = TRIPLES) -> pytest.MarkDecorator:
    """Every triple of `among` in `make test-all`; one of each kind in `make test`, another one for another `turn`."""
    chosen = set(one_of_each_kind(among, turn))
    marked = [pytest.param(one, marks=() if one in chosen else pytest.mark.full) for one in among]
    return pytest.mark.parametrize("triple", marked, ids=str)


def stepwise(model: Model, batch: Batch) -> torch.Tensor:
    """Log-probabilities [B T V], one step after the other."""
    state = model.start(model.encode(batch.source, batch.source_mask))
    steps = []
    for t in range(batch.target_in.shape[1]):
        log_probs, _, state = model.step(batch.target_in[:, t : t + 1], state)
        steps.append(log_probs)
    return torch.cat(steps, 1)


def forced(model: Model, batch: Batch, row: int, tokens: list[int]) -> float:
    """log p(tokens and the end | source of `row`), the sentence alone in its batch."""
    one = rows_of(batch, [row], trim=True)
    target_in, target_out = torch.tensor([[BOS, *tokens]]), torch.tensor([[*tokens, EOS]])
    real = torch.ones_like(target_in, dtype=torch.bool)
    given = Batch(one.source, one.source_mask, target_in, target_out, real, one.lengths, one.pair_ids)
    return float(model.log_probs(given).gather(-1, target_out.unsqueeze(-1)).sum())


@every_triple(turn=0)
@torch.no_grad()
def test_step_by_step_equals_all_at_once(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    difference = (stepwise(model, batch) - model.log_probs(batch))[batch.target_mask]
    assert difference.abs().max() < TOLERANCE


@every_triple(turn=1)
@without_shape_checks
@torch.no_grad()
def test_padding_and_batch_order_change_nothing(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    together = model.log_probs(batch)
    padded = model.log_probs(some_batch(SOURCES, TARGETS, padding=3))
    reordered = model.log_probs(rows_of(batch, [2, 0, 1]))
    for row, length in enumerate(TARGETS):
        alone = model.log_probs(rows_of(batch, [row], trim=True))[0]
        for other in (padded[row], alone, reordered[[1, 2, 0][row]]):
            assert (together[row, : length + 1] - other[: length + 1]).abs().max() < TOLERANCE


@every_triple(turn=2)
@without_shape_checks
@torch.no_grad()
def test_beam_of_one_is_greedy(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    beam = BeamSearch(beam_size=1, length_penalty=1.0, **LIMITS)(model, batch.source, batch.source_mask)
    greedy = GreedySearch(**LIMITS)(model, batch.source, batch.source_mask)
    for (one,), (other,) in zip(beam, greedy, strict=True):
        assert one.tokens == other.tokens
        assert one.log_prob == pytest.approx(other.log_prob, abs=TOLERANCE)


@every_triple(turn=3)
@without_shape_checks
@torch.no_grad()
def test_n_best_scores_equal_those_of_forced_decoding(triple: Triple) -> None:
    """Holds only if caches, ancestry and finished rows that leave the batch are exact."""
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    search = BeamSearch(beam_size=3, length_penalty=0.6, **LIMITS)
    for row, hypotheses in enumerate(search(model, batch.source, batch.source_mask)):
        assert len(hypotheses) == 3
        assert len({tuple(hypothesis.tokens) for hypothesis in hypotheses}) == 3
        for hypothesis in hypotheses:
            log_prob = forced(model, batch, row, hypothesis.tokens)
            assert hypothesis.log_prob == pytest.approx(log_prob, abs=TOLERANCE)
            assert hypothesis.score == pytest.approx(log_prob / (len(hypothesis.tokens) + 1) ** 0.6, abs=TOLERANCE)


@every_triple(turn=0, among=SHORTLISTED)
@without_shape_checks
@torch.no_grad()
def test_shortlist_of_all_tokens_changes_nothing(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    search = BeamSearch(beam_size=3, length_penalty=0.6, **LIMITS)
    everything = Shortlist.of(torch.ones(len(SOURCES), VOCAB, dtype=torch.bool))
    plain = search(model, batch.source, batch.source_mask)
    listed = search(Shortlisted(model, everything), batch.source, batch.source_mask)
    assert [[one.tokens for one in each] for each in listed] == [[one.tokens for one in each] for each in plain]
    for one, other in zip(itertools.chain(*listed), itertools.chain(*plain), strict=True):
        assert one.log_prob == pytest.approx(other.log_prob, abs=TOLERANCE)


@every_triple(turn=4)
@without_shape_checks
@torch.no_grad()
def test_weights_are_a_distribution_over_the_real_memory(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    memory = model.encode(batch.source, batch.source_mask)
    mask = memory.mask
    plain = model.decode(batch.target_in, memory)
    decoded = model.decode(batch.target_in, memory, Weights.ALL)
    assert (decoded.features - plain.features).abs().max() < TOLERANCE
    for attended in decoded.attended:
        if triple.attention == "none":
            assert attended.weights is None
            continue
        weights = attended.weights
        assert weights is not None
        assert weights.shape[2:] == (batch.target_in.shape[1], mask.shape[1])
        assert weights.masked_select(~mask[:, None, None, :]).abs().sum() == 0
        assert (weights >= 0).all()
        if choice("attention", triple.attention).target.weights_sum_to_one:
            assert (weights.sum(-1) - 1).abs().max() < TOLERANCE
        else:
            assert weights.sum(-1).max() < 1 + TOLERANCE


@every_triple(turn=5)
@without_shape_checks
def test_every_parameter_learns(triple: Triple) -> None:
    model = triple.model().train()
    for seed in range(3):
        model.loss(some_batch(SOURCES, TARGETS, seed=seed), 0.1).loss.backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not idle


@every_triple(turn=6)
@without_shape_checks
def test_every_parameter_has_a_gradient_in_every_batch(triple: Triple) -> None:
    """Even in the smallest batch: distributed ranks wait for the gradients of all parameters."""
    model = triple.model().train()
    model.loss(some_batch([1], [0]), 0.1).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@every_triple(turn=7)
@without_shape_checks
def test_requested_weights_have_gradients(triple: Triple) -> None:
    if triple.attention == "none":
        pytest.skip("there are no weights")
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    memory = model.encode(batch.source, batch.source_mask)
    weights = model.decode(batch.target_in, memory, Weights.ALL).attended[-1].weights
    assert weights is not None
    weights.square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.encoder.parameters())


@every_triple(turn=0)
@without_shape_checks
def test_an_adapter_changes_nothing_at_first_learns_and_can_be_merged(triple: Triple) -> None:
    model, batch = triple.model(), some_batch(SOURCES, TARGETS)
    adapter = Lora(rank=2, alpha=3.0, dropout=0.0, targets=["*"])
    before = model.log_probs(batch)
    adapter.insert(model)
    model.double()
    assert (model.log_probs(batch) - before).abs().max() < TOLERANCE
    factors = {name: parameter for name, parameter in model.named_parameters() if ".lora." in name}
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == factors.keys()
    with torch.no_grad():
        for factor in factors.values():
            factor += 0.3 * torch.randn_like(factor)
    for seed in range(3):
        model.train().loss(some_batch(SOURCES, TARGETS, seed=seed), 0.1).loss.backward()
    assert not [name for name, factor in factors.items() if factor.grad is None or not factor.grad.abs().max() > 0]
    plain = triple.model()
    load_model(plain, adapter.merged(model_tensors(model)))
    assert (plain.log_probs(batch) - model.eval().log_probs(batch)).abs().max() < TOLERANCE
