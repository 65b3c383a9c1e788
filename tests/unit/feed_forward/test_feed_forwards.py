"""Each feed-forward network compared with its paper's equation in plain loops, in float64."""

import math

import pytest
import torch

from seq2seq.feed_forward.base import ACTIVATIONS
from seq2seq.feed_forward.gated import ALIGNED, GatedFeedForward
from seq2seq.feed_forward.plain import PlainFeedForward

FUNCTIONS = {
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * (1 + math.erf(x / 2**0.5)) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
}


def product(matrix: torch.Tensor, vector: list[float]) -> list[float]:
    return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in matrix.tolist()]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_plain_is_two_linear_layers_around_an_activation(activation: str) -> None:
    network = PlainFeedForward(dim=3, inner_dim=5, activation=activation, dropout=0.0).double()
    torch.nn.init.normal_(network.widen.bias)
    states = torch.randn(1, 2, 3, dtype=torch.float64)
    for found, state in zip(network(states)[0].tolist(), states[0].tolist(), strict=True):
        shifted = zip(product(network.widen.weight, state), network.widen.bias.tolist(), strict=True)
        hidden = [FUNCTIONS[activation](h + b) for h, b in shifted]
        assert found == pytest.approx(product(network.narrow.weight, hidden), abs=1e-12)


@pytest.mark.parametrize("gate", sorted(ACTIVATIONS))
def test_gated_is_equation_6(gate: str) -> None:
    """(f(x W) * x V) W2."""
    network = GatedFeedForward(dim=3, inner_dim=12, dropout=0.0, gate=gate).double()
    first, second = network.widen.weight[:ALIGNED], network.widen.weight[ALIGNED:]
    states = torch.randn(1, 2, 3, dtype=torch.float64)
    for found, state in zip(network(states)[0].tolist(), states[0].tolist(), strict=True):
        pairs = zip(product(first, state), product(second, state), strict=True)
        hidden = [FUNCTIONS[gate](w) * v for w, v in pairs]
        assert found == pytest.approx(product(network.narrow.weight, hidden), abs=1e-12)


@pytest.mark.parametrize(("inner_dim", "units"), [(1024, 680), (2048, 1368), (3072, 2048), (20, 16), (1, 8)])
def test_gated_has_about_as_many_parameters_as_plain(inner_dim: int, units: int) -> None:
    gated = GatedFeedForward(dim=64, inner_dim=inner_dim, dropout=0.0, gate="silu")
    assert gated.narrow.in_features == units
    if inner_dim >= 1024:
        plain = PlainFeedForward(dim=64, inner_dim=inner_dim, dropout=0.0, activation="relu")
        sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (gated, plain)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_dropout_is_that_of_the_hidden_layer() -> None:
    states = torch.randn(1, 400, 8)
    for network in (
        PlainFeedForward(dim=8, inner_dim=8, activation="silu", dropout=0.5),
        GatedFeedForward(dim=8, inner_dim=12, gate="silu", dropout=0.5),
    ):
        torch.nn.init.eye_(network.narrow.weight)
        assert 0.4 < network(states).eq(0).double().mean() < 0.6
        assert not network.eval()(states).eq(0).any()
