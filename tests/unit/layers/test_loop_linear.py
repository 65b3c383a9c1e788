"""`LoopLinear` has the gradients of a plain linear layer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.layers.loop_linear import LoopLinear

N, D, STEPS = 3, 4, 5


def leaf(*shape: int, seed: int) -> Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_()


def recurrence(map_of: Callable[[Tensor], Tensor], first: Tensor, inputs: Tensor) -> Tensor:
    """The sum over all steps of tanh(x_t + W h_t-1)."""
    state, total = first, torch.zeros((), dtype=first.dtype)
    for step in inputs.unbind(1):
        state = torch.tanh(step + map_of(state))
        total = total + state.square().sum()
    return total


def leaves() -> tuple[Tensor, Tensor, Tensor]:
    return leaf(D, D, seed=0), leaf(N, D, seed=1), leaf(N, STEPS, D, seed=2)


def plain(scale: float = 1.0) -> tuple[Tensor, ...]:
    weight, first, inputs = given = leaves()
    return torch.autograd.grad(recurrence(lambda x: F.linear(x, scale * weight), first, inputs), given)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_gradients_of_a_recurrence(scale: float) -> None:
    weight, first, inputs = given = leaves()
    loss = recurrence(LoopLinear(scale * weight), first, inputs)
    for one, other in zip(torch.autograd.grad(loss, given), plain(scale), strict=True):
        assert (one - other).abs().max() < 1e-12


def test_a_second_backward_pass_has_the_same_gradients() -> None:
    weight, first, inputs = given = leaves()
    loss = recurrence(LoopLinear(weight), first, inputs)
    for _ in range(2):
        for one, other in zip(torch.autograd.grad(loss, given, retain_graph=True), plain(), strict=True):
            assert (one - other).abs().max() < 1e-12


def test_gradients_accumulate_in_the_parameter() -> None:
    weight, first, inputs = leaves()
    for _ in range(2):
        recurrence(LoopLinear(weight), first, inputs).backward()
    assert weight.grad is not None
    assert (weight.grad - 2 * plain()[0]).abs().max() < 1e-12


def test_steps_outside_the_loss_add_no_gradient() -> None:
    weight, first, inputs = leaves()
    product = LoopLinear(weight)
    seen, _ = product(first), product(inputs[:, 0])
    (found,) = torch.autograd.grad(seen.sum(), weight)
    assert found.equal(torch.ones(N, D, dtype=torch.float64).T @ first)


def test_a_frozen_weight_stores_nothing_and_passes_gradients_on() -> None:
    weight, first, inputs = leaves()
    product = LoopLinear(weight.detach())
    (found,) = torch.autograd.grad(recurrence(product, first, inputs), first)
    assert (found - plain()[1]).abs().max() < 1e-12
    assert product._steps == []


def test_nothing_is_stored_after_a_backward_pass() -> None:
    weight, first, inputs = leaves()
    product = LoopLinear(weight)
    recurrence(product, first, inputs).backward()
    assert product._steps == []


@pytest.mark.parametrize(("leaf", "message"), [(0, "does not require grad"), (1, "once_differentiable")])
def test_second_derivatives_are_refused(leaf: int, message: str) -> None:
    weight, first, inputs = given = leaves()
    loss = recurrence(LoopLinear(weight), first, inputs)
    (found,) = torch.autograd.grad(loss, given[leaf], create_graph=True)
    with pytest.raises(RuntimeError, match=message):
        found.sum().backward()


def test_without_gradients_it_is_a_plain_product() -> None:
    weight, first, _ = leaves()
    with torch.inference_mode():
        assert LoopLinear(weight)(first).equal(F.linear(first, weight))


def test_inputs_are_cast_to_the_weights_dtype() -> None:
    weight, first, _ = leaves()
    found = LoopLinear(weight.to(torch.bfloat16))(first)
    assert found.dtype is torch.bfloat16
    found.float().sum().backward()
    assert first.grad is not None
    assert first.grad.dtype is torch.float64
    assert weight.grad is not None
    expected = torch.ones(N, D, dtype=torch.float64).T @ first.detach()
    assert (weight.grad - expected).abs().max() < 0.05
