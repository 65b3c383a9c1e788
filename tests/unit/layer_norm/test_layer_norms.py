"""Each layer normalisation compared with its paper's equation in plain loops, in float64."""

import pytest
import torch

from seq2seq.layer_norm.base import LayerNormalization
from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.layer_norm.rms import EPS, RmsNorm


def with_random_weights(norm: LayerNormalization) -> LayerNormalization:
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    return norm.double()


def test_layer_normalisation_removes_the_mean_and_the_variance() -> None:
    norm = with_random_weights(LayerNorm(dim=5, for_products=True))
    states = torch.randn(2, 3, 5, dtype=torch.float64) * 3 + 1
    for found, state in zip(norm(states).flatten(0, 1).tolist(), states.flatten(0, 1).tolist(), strict=True):
        mean = sum(state) / 5
        deviation = (sum((x - mean) ** 2 for x in state) / 5 + 1e-5) ** 0.5
        parts = zip(state, norm.weight.tolist(), norm.bias.tolist(), strict=True)
        assert found == pytest.approx([(x - mean) / deviation * w + b for x, w, b in parts], abs=1e-12)


def test_rms_normalisation_is_equation_4() -> None:
    norm = with_random_weights(RmsNorm(dim=5))
    states = torch.randn(2, 3, 5, dtype=torch.float64) * 3 + 1
    for found, state in zip(norm(states).flatten(0, 1).tolist(), states.flatten(0, 1).tolist(), strict=True):
        root = (sum(x * x for x in state) / 5 + EPS) ** 0.5
        parts = zip(state, norm.weight.tolist(), strict=True)
        assert found == pytest.approx([x / root * w for x, w in parts], abs=1e-12)
    assert [name for name, _ in norm.named_parameters()] == ["weight"]


def test_rms_normalisation_of_rounded_states_is_not_rounded() -> None:
    norm, states = RmsNorm(dim=64), (100 * torch.randn(3, 64)).to(torch.bfloat16)
    assert norm(states).dtype is torch.float32
    assert torch.allclose(norm(states), norm(states.float()))
