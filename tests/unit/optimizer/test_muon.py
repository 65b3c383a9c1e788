"""Muon: which matrices it updates and how, one learning rate for all, restoring its state."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from contract.combinations import Triple
from torch import Tensor, nn

from seq2seq.config import CONFIGS, compose
from seq2seq.config.loading import load_train
from seq2seq.errors import ConfigError
from seq2seq.optimizer import (
    build_optimizer,
    optimizer_problems,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from seq2seq.optimizer.muon import Muon, stacked_rows
from seq2seq.types import Part


class Model(nn.Module):
    """An embedding, a hidden layer, a vector stored as a matrix, and untied output weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.hidden = nn.Linear(4, 6)
        self.v = nn.Linear(6, 1, bias=False)
        self.generator = nn.Linear(6, 7)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states = torch.tanh(self.hidden(self.embedding(tokens)))
        return self.generator(states * self.v(states).sigmoid())


def muon(**changes: object) -> Part:
    arguments = yaml.safe_load(Path(CONFIGS, "optimizer", "muon.yaml").read_text(encoding="utf-8"))
    for key in ("_target_", "_partial_"):
        del arguments[key]
    return Part("muon", Muon, arguments | {"lr": 1e-3} | changes)


def made(**changes: object) -> tuple[Model, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Model()
    return model, build_optimizer(muon(**changes), model)


def step(model: Model, optimizer: torch.optim.Optimizer) -> float:
    tokens = torch.arange(7)
    loss = nn.functional.cross_entropy(model(tokens), tokens)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def fields_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, set[str]]:
    """What the optimizer's state holds of each parameter."""
    fields: dict[str, set[str]] = {name: set() for name, _ in model.named_parameters()}
    for key in optimizer_tensors(optimizer, model):
        field, _, name = key.partition("/")
        fields[name].add(field)
    return fields


def test_muon_updates_only_hidden_matrices() -> None:
    model, optimizer = made()
    step(model, optimizer)
    fields = fields_of(model, optimizer)
    assert [name for name, held in fields.items() if held == {"momentum_buffer"}] == ["hidden.weight"]
    assert all(held == {"step", "exp_avg", "exp_avg_sq"} for name, held in fields.items() if name != "hidden.weight")


def test_vectors_are_not_decayed() -> None:
    model, optimizer = made(weight_decay=0.3)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        name: 0.3 if p.dim() == 2 else 0.0 for name, p in model.named_parameters()
    }


def test_a_step_is_nearly_orthogonal_and_as_large_as_adams() -> None:
    model, optimizer = made(weight_decay=0.0, lr=0.01, iterations=9)
    before = model.hidden.weight.detach().clone()
    step(model, optimizer)
    values = torch.linalg.svdvals((model.hidden.weight.detach() - before) / (0.01 * 0.2 * math.sqrt(6)))
    assert ((values > 0.5) & (values < 1.5)).all()


def orthogonal(changes: Tensor, lr: float = 0.01) -> bool:
    """Whether a step has the right size in all directions of a matrix."""
    values = torch.linalg.svdvals(changes / (lr * 0.2 * math.sqrt(max(changes.shape))))
    return bool(((values > 0.5) & (values < 1.5)).all())


STACKS = {
    "attention": ("encoder.layers.0.self_attention.maps.weight", Triple("transformer", "multihead", "transformer")),
    "gated": (
        "encoder.layers.0.feed_forward.widen.weight",
        Triple("transformer", "multihead", "transformer", (), (("feed_forward", "swiglu"),)),
    ),
    "lstm": ("encoder.forwards.0.kernel.weight_hh_l0", Triple("lstm", "luong_general", "lstm")),
    "lstm, inputs": ("decoder.stack.layers.0.kernel.weight_ih_l0", Triple("lstm", "luong_general", "lstm")),
    "gru": ("decoder.stack.layers.0.kernel.weight_hh_l0", Triple("gru", "luong_general", "gru")),
    "bridge": ("decoder.bridge.weight", Triple("lstm", "luong_general", "lstm")),
}


@pytest.mark.parametrize(("name", "triple"), STACKS.values(), ids=STACKS)
def test_each_matrix_of_a_stack_is_made_orthogonal_separately(name: str, triple: Triple) -> None:
    """A large gradient of one of them does not affect the others."""
    torch.manual_seed(0)
    model = triple.model().float()
    weight = model.get_parameter(name)
    optimizer = build_optimizer(muon(weight_decay=0.0, lr=0.01, iterations=9), model)
    before = weight.detach().clone()
    rows = stacked_rows(model)[weight]
    assert len(rows) > 1 and sum(rows) == len(weight)
    scales = torch.cat([torch.full((size, 1), 100.0**place) for place, size in enumerate(rows)])
    weight.grad = torch.randn(weight.shape) * scales
    optimizer.step()
    assert all(orthogonal(change) for change in (weight.detach() - before).split(rows))
    state = optimizer_tensors(optimizer, model)
    assert list(state) == [f"momentum_buffer/{name}"]
    assert state[f"momentum_buffer/{name}"].shape == weight.shape


def test_a_restored_state_gives_the_same_steps() -> None:
    """Also a state saved when stacks were made orthogonal as one matrix: it has the same tensors."""

    def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        random = torch.Generator().manual_seed(number)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=random)
        optimizer.step()

    triple = Triple("lstm", "luong_general", "lstm")
    one = triple.model().float()
    first = build_optimizer(muon(), one)
    stepped(one, first, 1)
    other = triple.model().float()
    other.load_state_dict(one.state_dict())
    second = build_optimizer(muon(), other)
    restore_optimizer(second, other, {key: value.clone() for key, value in optimizer_tensors(first, one).items()})
    for number in (2, 3):
        stepped(one, first, number)
        stepped(other, second, number)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    states = optimizer_tensors(first, one), optimizer_tensors(second, other)
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_it_learns_and_one_learning_rate_is_for_all() -> None:
    model, optimizer = made(lr=0.02)
    losses = [step(model, optimizer) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
    set_learning_rate(optimizer, 0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step(model, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("layer", "fields"),
    [
        (nn.Linear(3, 3, bias=False), {"weight": {"momentum_buffer"}}),
        (nn.LayerNorm(3), {name: {"step", "exp_avg", "exp_avg_sq"} for name in ("weight", "bias")}),
    ],
    ids=["matrices", "vectors"],
)
def test_a_model_may_have_only_matrices_or_only_vectors(layer: nn.Module, fields: dict[str, set[str]]) -> None:
    optimizer = build_optimizer(muon(), layer)
    layer(torch.randn(2, 3)).square().sum().backward()
    optimizer.step()
    assert fields_of(layer, optimizer) == fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": -1.0}, "optimizer=muon: Learning rate should be >= 0 but is: -1.0"),
        ({"momentum": 1.5}, r"optimizer=muon: momentum must lie in \[0, 1\), not 1.5"),
        ({"iterations": 100}, "optimizer=muon: iterations must lie between 1 and 99, not 100"),
        ({"betas": [0.9, 1.5]}, "optimizer=muon: Invalid beta parameter"),
    ],
)
def test_refused_values(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**changes)
    assert len(optimizer_problems(muon(**changes))) == 1


def test_a_key_of_another_optimizer_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.ns_steps") as error:
        load_train(compose(CONFIGS, "train", ["optimizer=muon", "+optimizer.ns_steps=3"]))
    assert str(error.value).count("ns_steps") == 1
