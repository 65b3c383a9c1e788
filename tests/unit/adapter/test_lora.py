"""Low-rank adaptation: its equation, what it is added to, and what is refused."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from seq2seq.adapter.lora import Lora, LoraLinear, adaptable
from seq2seq.errors import ConfigError
from seq2seq.optimizer.muon import stacked_rows


class Stacked(nn.Module):
    """Three maps in one product, a tied one, a vector, and one of a class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Linear(5, 10, bias=False)
        self.output = nn.Linear(4, 5)
        self.table = nn.Embedding(7, 5)
        self.tied = nn.Linear(5, 7)
        self.tied.weight = self.table.weight
        self.vector = nn.Linear(5, 1)
        self.own = LoraLinear(nn.Linear(5, 5), [5], 1, 1.0, 0.0)

    def stacked_rows(self) -> dict[str, list[int]]:
        return {"maps.weight": [4, 3, 3]}


def lora(targets: Sequence[str] = ("*",), rank: int = 2, alpha: float = 3.0, dropout: float = 0.0) -> Lora:
    return Lora(rank=rank, alpha=alpha, dropout=dropout, targets=targets)


def test_each_part_of_a_product_has_factors_of_its_own() -> None:
    """So that each of a self-attention's queries, keys and values gets a change of that rank."""
    model = Stacked()
    lora().insert(model)
    assert isinstance(model.maps, LoraLinear)
    shapes = {name: list(parameter.shape) for name, parameter in model.maps.named_parameters()}
    assert shapes == {
        **{"weight": [10, 5], "lora.0.a": [2, 5], "lora.0.b": [4, 2]},
        **{"lora.1.a": [2, 5], "lora.1.b": [3, 2], "lora.2.a": [2, 5], "lora.2.b": [3, 2]},
    }
    with torch.no_grad():
        for factors in model.maps.lora:
            factors.b.normal_()
    changes = [1.5 * factors.b @ factors.a for factors in model.maps.lora]
    inputs = torch.randn(2, 3, 5)
    expected = inputs @ (model.maps.weight + torch.cat(changes)).T
    assert torch.allclose(model.maps(inputs), expected, atol=1e-6)
    merged = lora().merged(model.state_dict())
    assert torch.allclose(merged["maps.weight"], model.maps.weight + torch.cat(changes), atol=1e-6)
    assert merged.keys() == Stacked().state_dict().keys() - {"own.lora.0.a", "own.lora.0.b"}
    assert torch.equal(model.maps.weight, model.state_dict()["maps.weight"])
    assert list(stacked_rows(model).values()) == [[4, 3, 3]]


def test_more_than_ten_parts_are_merged_in_their_order() -> None:
    torch.manual_seed(0)
    linear = LoraLinear(nn.Linear(3, 24, bias=False), [2] * 12, 1, 1.0, 0.0)
    with torch.no_grad():
        for factors in linear.lora:
            factors.b.normal_()
    merged = lora(rank=1, alpha=1.0).merged({f"x.{name}": tensor for name, tensor in linear.state_dict().items()})
    inputs = torch.randn(4, 3)
    assert torch.allclose(inputs @ merged["x.weight"].T, linear(inputs), atol=1e-6)


def test_dropout_is_on_the_inputs_of_the_factors_alone() -> None:
    linear = LoraLinear(nn.Linear(40, 3), [3], 4, 1.0, 0.5).train()
    inputs = torch.randn(5, 40)
    assert torch.equal(linear(inputs), nn.functional.linear(inputs, linear.weight, linear.bias))
    with torch.no_grad():
        linear.lora[0].b.normal_()
    assert not torch.equal(linear(inputs), linear(inputs))
    assert torch.equal(linear.eval()(inputs), linear(inputs))


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        (["*"], {"maps", "output"}),
        (["output"], {"output"}),
        (["m*"], {"maps"}),
    ],
)
def test_patterns_choose_linear_maps(targets: list[str], chosen: set[str]) -> None:
    model = Stacked()
    assert adaptable(model).keys() == {"maps", "output"}
    lora(targets).insert(model)
    adapted = {name for name, module in model.named_modules() if isinstance(module, LoraLinear)} - {"own"}
    assert adapted == chosen
    trained = {name.partition(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == chosen


@pytest.mark.parametrize(
    ("target", "advice"),
    [("tied", "At the top there are: maps, output"), ("vector", ""), ("own", ""), ("otput", "; did you mean output?")],
)
def test_what_cannot_be_adapted_is_named(target: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lora(["maps", target]).insert(Stacked())
    start = f"adapter.targets: no linear map that can be adapted is called '{target}'"
    assert str(caught.value).startswith(start) and advice in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"rank": 0}, "adapter.rank: expected 1 or more, got 0"),
        ({"alpha": 0.0}, "adapter.alpha: expected more than 0, got 0.0"),
        ({"dropout": 1.0}, "adapter.dropout: expected a share from 0 to below 1, got 1.0"),
        ({"targets": []}, "adapter.targets: expected names of linear maps, e.g. ['*attention*']"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(ValueError, match=line.split(":")[0]) as caught:
        lora(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == line
