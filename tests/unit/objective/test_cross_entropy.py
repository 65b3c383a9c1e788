"""The terms of the cross-entropy: each has its weight, its equation and its gradient."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from contract.combinations import PAD, Triple, some_batch

from seq2seq.layers.dropout import Dropout
from seq2seq.layers.unpad import unpad
from seq2seq.loss.divergence import jensen_shannon, kl_divergence, smoothed_nll
from seq2seq.objective.attention_terms import coverage_loss, entropy
from seq2seq.objective.consistency import Consistency
from seq2seq.objective.cross_entropy import CUT, CrossEntropy
from seq2seq.types import EOS, Batch, Weights

TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True)), (("generator", "pointer"),)),
    Triple("gru", "coverage", "gru", (("attend", "after"), ("input_feeding", False))),
    Triple("lstm", "local_p", "lstm", (("attend", "after"), ("input_feeding", False)), (("normalizer", "sparsemax"),)),
]
BATCH = some_batch([6, 1, 4], [3, 5, 0])
GIVEN: dict[str, Any] = {"label_smoothing": 0.1, "attention_penalty": 1.0}
TERMS: list[dict[str, Any]] = [
    {},
    {"attention_entropy": 0.5, "attention_coverage": 2.0},
    {"consistency": "r_drop", "consistency_weight": 5.0},
    {"consistency": "simcut", "consistency_weight": 3.0, "cut_share": 0.5},
    {"consistency": "cutoff", "cut_share": 0.5, "attention_entropy": 0.5, "scheduled_sampling": 0.5},
]


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: "-".join(map(str, terms.values())) or "none")
def test_the_total_is_the_sum_of_its_terms_and_every_parameter_gets_a_gradient(
    triple: Triple, terms: dict[str, Any]
) -> None:
    model = triple.model().train()
    objective = CrossEntropy(**GIVEN, **terms)
    total = 0.0
    for update in range(1, 4):
        objective.begin(1, update)
        losses = objective(model, BATCH)
        losses.total.backward()
        total += losses.total.item()
        if losses.terms:
            assert losses.total.item() == pytest.approx(sum(term.item() for term in losses.terms.values()), abs=1e-9)
    assert total > 0
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
@torch.no_grad()
def test_without_disturbance_both_passes_are_the_same(triple: Triple) -> None:
    model = triple.model()
    plain = CrossEntropy(**GIVEN)(model, BATCH)
    for kind in ("r_drop", "simcut", "cutoff"):
        share = CUT if kind == "r_drop" else 0.0
        losses = CrossEntropy(**GIVEN, consistency=kind, consistency_weight=7.0, cut_share=share)(model, BATCH)
        assert losses.total.item() == pytest.approx(plain.total.item(), abs=1e-9)
        assert losses.nll.item() == pytest.approx(plain.nll.item(), abs=1e-9)
        assert losses.terms["consistency"].item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("triple", TRIPLES[:2], ids=str)
@pytest.mark.parametrize("kind", ["r_drop", "simcut", "cutoff"])
def test_consistency_compares_two_passes(kind: Any, triple: Triple) -> None:
    """The doubled batch gives what a pass over each half gives; a pointer copies tokens that were cut."""
    model = triple.model().train()
    share = CUT if kind == "r_drop" else 0.5
    objective = CrossEntropy(**GIVEN, consistency=kind, consistency_weight=3.0, cut_share=share)
    assert objective.consistency is not None
    if kind == "r_drop":
        disturb(objective.consistency)  # as dropout would: other tokens, in the second pass alone
    torch.manual_seed(3)
    losses = objective(model, BATCH)
    torch.manual_seed(3)
    both = objective.consistency.double(BATCH)
    halves = []
    for rows in (slice(0, 3), slice(3, 6)):
        memory = model.encode(both.source[rows], both.source_mask[rows])
        decoded = model.decode(both.target_in[rows], memory)
        halves.append(unpad(model.generator.log_probs(decoded, BATCH.source), BATCH.target_mask))
    p, q = halves
    divergence = {
        "r_drop": (kl_divergence(p, q) + kl_divergence(q, p)) / 4,
        "simcut": kl_divergence(p, q),
        "cutoff": jensen_shannon(p, q),
    }[kind]
    assert losses.terms["consistency"].item() == pytest.approx(3 * divergence.sum().item(), abs=1e-9)
    assert losses.terms["consistency"].item() > 1e-3
    targets = unpad(BATCH.target_out, BATCH.target_mask)
    each = [smoothed_nll(half, targets, 0.1)[0].sum().item() for half in halves]
    likelihood = each[0] if kind == "simcut" else sum(each) / 2
    assert losses.terms["cross_entropy"].item() == pytest.approx(likelihood, abs=1e-9)
    assert losses.nll.item() == pytest.approx(smoothed_nll(p, targets, 0.0)[1].sum().item(), abs=1e-9)


def disturb(consistency: Consistency) -> None:
    """Make the second pass of r_drop another one without dropout: every third input is another token."""
    double = consistency.double

    def disturbed(batch: Batch) -> Batch:
        both = double(batch)
        rows = torch.arange(len(both.source)).unsqueeze(1) >= len(batch.source)
        target_in = torch.where(rows & (both.target_in > EOS), both.target_in % 7 + 5, both.target_in)
        return replace(both, target_in=target_in)

    consistency.double = disturbed  # type: ignore[method-assign]


def test_dropout_differs_between_the_passes_of_r_drop() -> None:
    model = TRIPLES[0].model().train()
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.3
    losses = CrossEntropy(**GIVEN, consistency="r_drop")(model, BATCH)
    assert losses.terms["consistency"].item() > 1e-3


def test_tokens_are_cut_in_the_second_pass_alone() -> None:
    consistency = CrossEntropy(**GIVEN, consistency="simcut", cut_share=0.3).consistency
    assert consistency is not None
    batch = some_batch([30] * 40, [20] * 40)
    both = consistency.double(batch)
    for side, mask in (("source", batch.source_mask), ("target_in", batch.target_mask)):
        given, found = getattr(batch, side), getattr(both, side)
        assert torch.equal(found[:40], given)
        cut = (found[40:] != given) & mask
        assert (found[40:][cut] == PAD).all()
        assert (given[cut] > EOS).all()
        assert 0.25 < float(cut.sum() / (given > EOS).sum()) < 0.35
    assert torch.equal(both.source_mask, batch.source_mask.repeat(2, 1))
    assert torch.equal(both.target_out, batch.target_out.repeat(2, 1))


def test_symbols_and_line_breaks_are_never_cut() -> None:
    consistency = Consistency(kind="simcut", weight=1.0, share=1.0)
    consistency.spared = (7, 4)
    both, first = consistency.double(BATCH), len(BATCH.source)
    assert torch.equal(both.source[first:], BATCH.source.masked_fill(BATCH.source > 7, PAD))
    assert torch.equal(both.target_in[first:], BATCH.target_in.masked_fill(BATCH.target_in > 4, PAD))


def test_attention_terms_are_computed_in_fp32() -> None:
    weights, mask = torch.rand(2, 40, 30).softmax(-1), torch.ones(2, 40).bool()
    for term in (entropy, coverage_loss):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = term(weights.bfloat16(), mask)
        assert found.dtype is torch.float32
        assert found.item() == pytest.approx(term(weights.bfloat16().double(), mask).item(), rel=1e-5)


def test_a_cut_token_has_the_embedding_zero() -> None:
    embedding = TRIPLES[1].model().train().encoder.embedding
    with torch.no_grad():
        embedding.table.weight[PAD] = 1.0  # as after training, where the table is also the output layer
    assert not embedding(torch.tensor([[PAD, 5]]))[0, 0].any()


def test_attention_terms_are_their_equations() -> None:
    weights = torch.rand(2, 4, 3, dtype=torch.float64).softmax(-1)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool()
    coverage = total = 0.0
    for row, length in enumerate(mask.sum(1).tolist()):
        earlier = torch.zeros(3, dtype=torch.float64)
        for step in weights[row, :length]:
            coverage += torch.minimum(step, earlier).sum().item()
            total -= (step * step.log()).sum().item()
            earlier = earlier + step
    assert coverage_loss(weights, mask).item() == pytest.approx(coverage, abs=1e-12)
    assert entropy(weights, mask).item() == pytest.approx(total, abs=1e-12)


@torch.no_grad()
def test_attention_terms_read_the_last_layer() -> None:
    model = TRIPLES[0].model()
    memory = model.encode(BATCH.source, BATCH.source_mask)
    weights = model.decode(BATCH.target_in, memory, Weights.LAST).weights
    terms = CrossEntropy(**GIVEN, attention_entropy=0.5, attention_coverage=2.0)(model, BATCH).terms
    assert terms["attention_entropy"].item() == pytest.approx(0.5 * entropy(weights, BATCH.target_mask).item())
    assert terms["attention_coverage"].item() == pytest.approx(2 * coverage_loss(weights, BATCH.target_mask).item())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label_smoothing": 1.0}, r"objective\.label_smoothing must lie in \[0, 1\), not 1\.0"),
        ({"attention_penalty": -1.0}, r"objective\.attention_penalty must be at least 0, not -1"),
        ({"attention_entropy": -0.1}, r"objective\.attention_entropy must be at least 0, not -0\.1"),
        ({"consistency_weight": -1.0}, r"objective\.consistency_weight must be at least 0"),
        ({"cut_share": 1.5}, r"objective\.cut_share must lie in \[0, 1\], not 1\.5"),
        ({"scheduled_sampling": 2.0}, r"objective\.scheduled_sampling must lie in \[0, 1\], not 2"),
        ({"scheduled_sampling_updates": 0}, r"objective\.scheduled_sampling_updates: expected 1 or more, got 0"),
        ({"consistency_weight": 5.0}, r"objective\.consistency_weight is for objective\.consistency, which is none"),
        ({"cut_share": 0.3}, r"objective\.cut_share is for objective\.consistency=simcut or cutoff, not none"),
        ({"cut_share": 0.3, "consistency": "r_drop"}, r"objective\.cut_share is for .*, not r_drop"),
        ({"alignment_shift": True}, r"objective\.alignment_shift is for objective\.alignment, which is 0"),
        ({"scheduled_sampling_updates": 7}, r"objective\.scheduled_sampling_updates is for objective\.scheduled"),
        ({"alignment": 0.1}, r"objective\.alignment needs objective\.links=FILE"),
        ({"links": "a.txt"}, r"objective\.links is for objective\.alignment, which is 0"),
    ],
)
def test_values_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrossEntropy(**GIVEN | given)
