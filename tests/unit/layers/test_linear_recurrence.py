"""A parallel scan equals the loop, forward and backward."""

import pytest
import torch
from torch import Tensor

from seq2seq.layers.linear_recurrence import linear_recurrence

LENGTHS = [1, 2, 3, 4, 7, 8, 9, 31, 64]


def given(length: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(length)
    decay, inputs = (torch.randn(2, length, 3, generator=random, dtype=dtype) for _ in range(2))
    return decay.sigmoid().requires_grad_(), inputs.requires_grad_()


def loop(decay: Tensor, inputs: Tensor) -> Tensor:
    state, states = torch.zeros_like(inputs[:, 0]), []
    for factor, new in zip(decay.unbind(1), inputs.unbind(1), strict=True):
        state = factor * state + new
        states.append(state)
    return torch.stack(states, 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("length", LENGTHS)
def test_results_and_gradients_are_those_of_the_loop(length: int, dtype: torch.dtype, tolerance: float) -> None:
    arguments = given(length, dtype)
    weight = torch.randn(2, length, 3, dtype=dtype)
    found, expected = linear_recurrence(*arguments), loop(*arguments)
    assert (found - expected).abs().max() < tolerance
    pairs = zip(*(torch.autograd.grad((weight * one).sum(), arguments) for one in (found, expected)), strict=True)
    assert all((one - other).abs().max() < tolerance for one, other in pairs)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_gradients_are_those_of_finite_differences(length: int) -> None:
    assert torch.autograd.gradcheck(linear_recurrence, given(length))


@pytest.mark.parametrize("decay", [0.0, 1e-30, 0.5, 1.0])
def test_long_sequences_do_not_overflow(decay: float) -> None:
    """Products of many small decays are 0, and sums with decay 1 are the running sums."""
    factors, inputs = torch.full((1, 1000, 1), decay), torch.ones(1, 1000, 1)
    found = linear_recurrence(factors, inputs)
    assert (found - loop(factors, inputs)).abs().max() < 1e-3


def test_the_inputs_stay_as_they_are() -> None:
    decay, inputs = (tensor.detach() for tensor in given(9))
    before = decay.clone(), inputs.clone()
    linear_recurrence(decay, inputs)
    assert torch.equal(decay, before[0]) and torch.equal(inputs, before[1])
