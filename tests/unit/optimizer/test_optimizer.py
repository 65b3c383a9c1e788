"""Optimizers: what is decayed, and a state that is saved and restored bitwise."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.targets import Targets
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.optimizer import (
    build_optimizer,
    optimizer_problems,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from seq2seq.types import Part

CHOICES = Path(__file__).resolve().parents[3] / "configs" / "optimizer"


class Tied(nn.Module):
    """Embedding and output share one matrix; one parameter is frozen, one never gets a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.output = nn.Linear(4, 7)
        self.output.weight = self.embedding.weight
        self.unused = nn.Linear(4, 4)
        self.frozen = nn.Parameter(torch.ones(3, 3), requires_grad=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(self.norm(self.embedding(tokens)))


def choice(name: str, **changes: object) -> Part:
    arguments = yaml.safe_load((CHOICES / f"{name}.yaml").read_text())
    target = Targets().resolve(arguments.pop("_target_"))
    assert arguments.pop("_partial_") is True
    assert arguments["lr"] == "auto"  # the decoder's suggestion replaces it when the configuration is read
    return Part(name, target, arguments | {"lr": 1e-3} | changes)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, updates: range) -> None:
    for update in updates:
        tokens = torch.randint(7, (5, 3), generator=torch.Generator().manual_seed(update))
        set_learning_rate(optimizer, 0.01 / (1 + update))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()


def made(name: str, **changes: object) -> tuple[Tied, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Tied()
    return model, build_optimizer(choice(name, **changes), model)


def test_only_matrices_decay_and_tied_ones_are_listed_once() -> None:
    model, optimizer = made("adamw", weight_decay=0.3)
    decayed, spared = optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(model.embedding.weight), id(model.unused.weight)]
    assert {id(p) for p in spared["params"]} == {
        id(p) for p in (model.norm.weight, model.norm.bias, model.output.bias, model.unused.bias)
    }


def test_a_model_without_vectors_has_one_group() -> None:
    optimizer = build_optimizer(choice("adam"), nn.Linear(2, 2, bias=False))
    assert len(optimizer.param_groups) == 1


def test_yaml_lists_reach_torch_as_tuples() -> None:
    assert made("adamw", betas=[0.8, 0.9])[1].param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"lr": -1.0}, "optimizer=adamw: Invalid learning rate: -1.0"), ({"betas": [0.9, 1.5]}, "Invalid beta parameter")],
)
def test_values_that_torch_refuses_are_configuration_errors(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        made("adamw", **changes)
    assert optimizer_problems(choice("adamw", **changes)) == [str(caught.value)]
    assert optimizer_problems(choice("adamw")) == []


@pytest.mark.parametrize("lr", [1e-3, torch.tensor(1e-3)])
def test_set_learning_rate_changes_every_group(lr: float | Tensor) -> None:
    optimizer = made("adamw", lr=lr)[1]
    set_learning_rate(optimizer, 0.25)
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.25, 0.25]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_a_restored_optimizer_continues_bitwise(name: str, fused: bool) -> None:
    model, optimizer = made(name, fused=fused)
    train(model, optimizer, range(4))
    kept = {key: value.clone() for key, value in optimizer_tensors(optimizer, model).items()}
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    train(model, optimizer, range(4, 8))

    again, second = made(name, fused=fused)
    again.load_state_dict(weights)
    restore_optimizer(second, again, kept)
    train(again, second, range(4, 8))

    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())
    expected, found = optimizer_tensors(optimizer, model), optimizer_tensors(second, again)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) and found[key].dtype == expected[key].dtype for key in expected)


def test_state_is_named_by_parameter_and_omits_untrained_ones() -> None:
    model, optimizer = made("adamw")
    assert optimizer_tensors(optimizer, model) == {}
    train(model, optimizer, range(1))
    trained = ("embedding.weight", "norm.weight", "norm.bias", "output.bias")
    fields = ("step", "exp_avg", "exp_avg_sq")
    assert set(optimizer_tensors(optimizer, model)) == {f"{field}/{name}" for name in trained for field in fields}


def test_restoring_copies_the_tensors() -> None:
    model, optimizer = made("adamw")
    train(model, optimizer, range(1))
    kept = optimizer_tensors(optimizer, model)
    before = kept["exp_avg/norm.weight"].clone()
    again, second = made("adamw")
    restore_optimizer(second, again, kept)
    train(again, second, range(3))
    assert torch.equal(kept["exp_avg/norm.weight"], before)


def test_the_order_of_the_groups_does_not_matter() -> None:
    model, optimizer = made("adamw")
    train(model, optimizer, range(2))
    parameters = list(reversed([p for p in model.parameters() if p.requires_grad]))
    other = torch.optim.AdamW(parameters, fused=True)
    restore_optimizer(other, model, optimizer_tensors(optimizer, model))
    for parameter in (model.embedding.weight, model.norm.bias):
        assert torch.equal(other.state[parameter]["exp_avg"], optimizer.state[parameter]["exp_avg"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"exp_avg/gone.weight": torch.zeros(2)}, "exp_avg/gone.weight: the model has no such parameter"),
        (lambda t: t | {"exp_avg/frozen": torch.zeros(3, 3)}, "exp_avg/frozen: the model has no such parameter"),
        (lambda t: t | {"exp_avg/norm.bias": torch.zeros(9)}, r"exp_avg/norm.bias: \[9\] in the checkpoint, \[4\] in"),
        (lambda t: {k: v for k, v in t.items() if k != "step/norm.bias"}, "do not all hold the same fields"),
    ],
)
def test_state_of_another_model_is_refused(change: object, message: str) -> None:
    model, optimizer = made("adamw")
    train(model, optimizer, range(1))
    kept = optimizer_tensors(optimizer, model)
    with pytest.raises(CheckpointError, match=message):
        restore_optimizer(optimizer, model, change(kept))  # type: ignore[operator]


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_a_gpu_optimizer_is_restored_bitwise_from_cpu_tensors(fused: bool) -> None:
    model, optimizer = made("adamw", fused=fused)
    model = model.cuda()
    optimizer = build_optimizer(choice("adamw", fused=fused), model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.3)
    optimizer.step()
    kept = {key: value.cpu() for key, value in optimizer_tensors(optimizer, model).items()}
    second = build_optimizer(choice("adamw", fused=fused), model)
    restore_optimizer(second, model, kept)
    found, expected = optimizer_tensors(second, model), optimizer_tensors(optimizer, model)
    assert all(found[key].device == value.device and torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ([], 4e-3),
        (["decoder=gru"], 4e-3),
        (["decoder=transformer", "encoder=transformer", "attention=multihead"], 1e-3),
        (["decoder=ssru"], 1e-3),
        (["optimizer=muon"], 4e-3),
        (["optimizer.lr=0.5"], 0.5),
    ],
)
def test_the_decoder_suggests_the_learning_rate(words: list[str], rate: float) -> None:
    found = load_train(compose(CONFIGS, "train", words))
    assert found.optimizer.arguments["lr"] == found.plain["optimizer"]["lr"] == rate
