"""Minimum risk training: its gradient is that of the expected cost, and resumed runs are bitwise the same."""

from dataclasses import fields, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
import torch
from contract.combinations import VOCAB, Triple, some_batch
from small_runs import same, settings, weights
from torch import Tensor

from seq2seq.logger.jsonl import read_metrics
from seq2seq.model.model import Model
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.objective.minimum_risk import MinimumRisk
from seq2seq.search.forced import collate_targets
from seq2seq.search.pairwise_rouge import pairwise_rouge
from seq2seq.training.run import train
from seq2seq.types import BOS, EOS, PAD, Batch

FEEDING = (("attend", "before"), ("input_feeding", True))
TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("lstm", "coverage", "lstm", FEEDING, (("generator", "pointer"),)),
]
COPIES = 500
GIVEN: dict[str, Any] = {"label_smoothing": 0.1, "attention_penalty": 1.0, "max_length": 6, "max_length_ratio": 2.0}


def gradient(model: Model, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def exact_risk(model: Model, batch: Batch, start: tuple[int, ...]) -> Tensor:
    """The expected cost of the first source, over all targets of at most two tokens after `start`."""
    words = [token for token in range(VOCAB) if token not in (PAD, BOS, EOS)]
    targets = [list(tokens) for tokens in chain([()], product(words), product(words, repeat=2))]
    target_in, target_out, mask = collate_targets([[*start, *target] for target in targets])
    many = [part[:1].expand(len(targets), -1) for part in (batch.source, batch.source_mask)]
    lengths = batch.lengths[:1].expand(len(targets))
    log_probs = model.log_probs(Batch(*many, target_in, target_out, mask, lengths, lengths))
    mask[:, len(start) + 2] = False
    mask[:, : len(start)] = False
    each = log_probs.gather(-1, target_out.unsqueeze(-1)).squeeze(-1).where(mask, 0.0).sum(1)
    assert each.exp().sum().item() == pytest.approx(1)
    reference = batch.target_out[0][batch.target_mask[0]].tolist()[len(start) : -1]
    return (each.exp() * (1 - pairwise_rouge(targets, [reference]).squeeze(1))).sum()


@pytest.mark.parametrize("length", [0, 2], ids=["", "after a prefix"])
@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_its_gradient_is_that_of_the_expected_cost(triple: Triple, length: int) -> None:
    model, batch = triple.model(), some_batch([4], [2 + length])
    start = tuple(batch.target_out[0, :length].tolist())
    with torch.no_grad():
        model.generator.output.bias[[PAD, BOS]] -= 30.0
    copies = Batch(*(getattr(batch, field.name).repeat_interleave(COPIES, 0) for field in fields(Batch)))
    copies = replace(copies, pair_ids=torch.arange(COPIES))
    objective = MinimumRisk(samples=40, cross_entropy=0.0, **GIVEN | {"max_length": 3})
    objective.target_start = start
    total = objective(model, copies).total / COPIES
    found, risk = gradient(model, total), total.item()
    expected = exact_risk(model, batch, start)
    assert risk == pytest.approx(expected.item(), abs=0.02)
    wanted = gradient(model, expected)
    assert torch.cosine_similarity(found, wanted, dim=0) > 0.97
    assert found.norm() == pytest.approx(wanted.norm().item(), rel=0.1)


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_the_cross_entropy_is_added(triple: Triple) -> None:
    model, batch = triple.model().train(), some_batch([6, 1, 4], [3, 5, 1])
    likelihood = CrossEntropy(label_smoothing=0.1, attention_penalty=1.0)(model, batch)
    losses = MinimumRisk(samples=3, cross_entropy=0.5, **GIVEN)(model, batch)
    terms = {name: term.item() for name, term in losses.terms.items()}
    assert losses.nll.item() == pytest.approx(likelihood.nll.item(), abs=1e-9)
    assert losses.total.item() == pytest.approx(sum(terms.values()), abs=1e-6)
    assert terms.pop("risk") <= len(batch.source)
    assert sum(terms.values()) == pytest.approx(0.5 * likelihood.total.item(), abs=1e-9)
    assert model.training


def test_the_same_seed_draws_the_same_samples() -> None:
    model, batch, found = TRIPLES[0].model(), some_batch([6, 1, 4], [3, 5, 1]), []
    for seed in (1, 1, 2):
        objective = MinimumRisk(samples=4, cross_entropy=0.0, **GIVEN)
        objective.begin(seed, 1)
        found.append(gradient(model, objective(model, batch).total))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_bf16_weights_get_gradients_after_sampling() -> None:
    """Autocast caches cast weights; what it caches while samples are drawn has no gradient."""
    model, batch = TRIPLES[0].model().float(), some_batch([6, 1, 4], [3, 5, 1])
    with torch.autocast("cpu", torch.bfloat16):
        losses = MinimumRisk(samples=4, cross_entropy=1.0, **GIVEN)(model, batch)
    losses.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("key", "value"), [("samples", 1), ("cross_entropy", -0.1), ("max_length", 0), ("max_length_ratio", -1.0)]
)
def test_wrong_arguments_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"objective.{key}"):
        MinimumRisk(**({"samples": 4, "cross_entropy": 0.1, **GIVEN} | {key: value}))


@pytest.mark.slow
def test_a_resumed_run_is_bitwise_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    often = ("trainer.validate_every=2", "trainer.save_every=2", "trainer.log_every=1")
    words = ("objective=minimum_risk", "objective.max_length=8", "optimizer.lr=1e-4", *often)
    train(settings("whole", *words, "trainer.max_updates=4"))
    train(settings("parts", *words, "trainer.max_updates=2"))
    train(settings("parts", *words, "trainer.max_updates=4"))
    assert same(weights("whole", 4), weights("parts", 4))
    lines = [line for line in read_metrics(Path("runs/whole/metrics.jsonl")) if "train/risk" in line]
    assert len(lines) == 4
    assert all(line["train/loss"] > line["train/cross_entropy"] > 0 for line in lines)
