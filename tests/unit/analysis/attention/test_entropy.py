"""Normalised entropy: 0 if all weight is at one position, 1 if it is uniform, for any length."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.analysis.attention.entropy import MeanEntropy, normalized_entropy


def entropy_of(*weights: float, length: int | None = None) -> float:
    row = torch.tensor(weights, dtype=torch.float64).view(1, 1, 1, -1)
    return normalized_entropy(row, torch.tensor([length or len(weights)])).item()


@pytest.mark.parametrize(
    ("weights", "length", "expected"),
    [
        ((1.0, 0.0, 0.0), None, 0.0),
        ((0.25, 0.25, 0.25, 0.25), None, 1.0),
        ((0.5, 0.5, 0.0, 0.0), None, 0.5),
        ((0.5, 0.5, 0.0, 0.0), 2, 1.0),  # the last two are padding
        ((1.0,), None, 0.0),
        ((1.0, 0.0), 1, 0.0),
        ((0.2, 0.2, 0.0, 0.0), None, 0.5),  # weights that do not sum to 1
        ((0.0, 0.0), None, 0.0),
        ((0.7, 0.2, 0.1), None, -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)) / math.log(3)),
    ],
)
def test_the_entropy_of_a_row(weights: tuple[float, ...], length: int | None, expected: float) -> None:
    assert entropy_of(*weights, length=length) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(0, 5))
def test_entropy_is_from_0_to_1_and_ignores_padding(weights: list[float], padding: int) -> None:
    found = entropy_of(*weights)
    assert -1e-12 <= found <= 1 + 1e-12
    assert entropy_of(*weights, *[0.0] * padding, length=len(weights)) == pytest.approx(found, abs=1e-12)


def test_every_sentence_and_head_has_its_own_entropy() -> None:
    weights = torch.zeros(2, 2, 1, 4)
    weights[0, 0, 0] = 0.25
    weights[0, 1, 0, 2] = 1.0
    weights[1, 0, 0, :2] = 0.5
    weights[1, 1, 0, 0] = 1.0
    found = normalized_entropy(weights, torch.tensor([4, 2]))
    assert found.squeeze(-1).tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_bfloat16_is_summed_in_float32() -> None:
    weights = torch.full((1, 1, 1, 300), 1 / 300, dtype=torch.bfloat16)
    assert normalized_entropy(weights, torch.tensor([300])).item() == pytest.approx(1.0, abs=1e-5)


def test_mean_weighs_every_target_token_equally() -> None:
    mean = MeanEntropy()
    assert mean.result() == []
    even, sharp = torch.full((1, 3, 2), 0.5), torch.tensor([[[1.0, 0.0]]])
    mean.add([even, even], 2)
    mean.add([sharp, torch.full((1, 1, 2), 0.5)], 2)
    assert mean.tokens == 4
    assert mean.result() == [[0.75], [1.0]]


def test_a_hidden_column_does_not_count() -> None:
    mean = MeanEntropy()
    mean.add([torch.tensor([[[0.5, 0.5, 0.0]]])], 2)
    assert mean.result() == [[1.0]]
