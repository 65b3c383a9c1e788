"""Each normalizer compared with its definition and the entmax package, its gradient with finite differences."""

import math
from copy import deepcopy

import entmax
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.normalizer.base import Normalizer
from seq2seq.normalizer.entmax15 import Entmax15
from seq2seq.normalizer.softmax import Softmax
from seq2seq.normalizer.sparsemax import Sparsemax
from seq2seq.normalizer.temperature import TemperatureSoftmax
from seq2seq.normalizer.top_k import TopK

EVERY: list[Normalizer] = [
    Softmax(),
    Sparsemax(),
    Entmax15(),
    TopK(k=2),
    TemperatureSoftmax(temperature=0.5, learned=False),
    TemperatureSoftmax(temperature=2.0, learned=True).double(),
]
every_one = pytest.mark.parametrize("normalizer", EVERY, ids=lambda normalizer: type(normalizer).__name__)
rows = st.lists(st.floats(-30, 30), min_size=1, max_size=9)


def full_mask(scores: Tensor) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool)


def some_scores(*shape: int) -> tuple[Tensor, Tensor]:
    """Random scores and a mask that is True at least at the first position of each row."""
    torch.manual_seed(0)
    mask = torch.rand(*shape) < 0.7
    mask[..., 0] = True
    return 2 * torch.randn(*shape, dtype=torch.float64), mask


@every_one
def test_weights_are_a_distribution_over_the_unmasked(normalizer: Normalizer) -> None:
    scores, mask = some_scores(3, 4, 6)
    weights = normalizer(scores, mask)
    assert (weights >= 0).all()
    assert (weights.sum(-1) - 1).abs().max() < 1e-12
    assert weights[~mask].abs().sum() == 0


@every_one
def test_masked_scores_have_no_effect(normalizer: Normalizer) -> None:
    scores, mask = some_scores(5, 7)
    for row, shown in zip(scores, mask, strict=True):
        alone = normalizer(row[shown], full_mask(row[shown]))
        assert (normalizer(row, shown)[shown] - alone).abs().max() < 1e-12


@every_one
def test_gradients(normalizer: Normalizer) -> None:
    scores, mask = some_scores(2, 5)
    assert torch.autograd.gradcheck(lambda z: normalizer(z, mask), scores.requires_grad_())


@every_one
def test_gradients_of_scores_far_from_zero(normalizer: Normalizer) -> None:
    scores = torch.tensor([[500.3, 499.9, 499.2, 100.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: normalizer(z, full_mask(z)), scores)


FAR = {
    "high": lambda rows: rows + 1e6,
    "low": lambda rows: rows - 1e6,
    "wide": lambda rows: rows * 1e6,
    "near the largest number": lambda rows: rows.clamp(-3, 3) * 1e38,
    "equal": lambda rows: torch.full_like(rows, 7e5),
    "infinite": lambda rows: rows.masked_fill(rows < 0, float("-inf")),
}


@every_one
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", FAR)
def test_scores_of_any_size_give_the_weights_of_float64(normalizer: Normalizer, dtype: torch.dtype, case: str) -> None:
    """Masked scores may be anything, even NaN."""
    torch.manual_seed(0)
    rows = torch.randn(20, 40)
    rows[:, 0] = rows[:, 0].abs()
    mask = torch.rand(20, 40) < 0.7
    mask[:, 0] = True
    scores = FAR[case](rows).to(dtype)
    scores = torch.where(mask, scores, torch.tensor([float("nan"), float("inf")]).repeat(20).to(dtype)).requires_grad_()
    single = deepcopy(normalizer).float()
    weights = single(scores, mask)
    exact = deepcopy(normalizer).double()(scores.detach().double(), mask)
    close = 1e-5 if dtype is torch.float32 else 1e-2
    assert (weights.double() - exact).abs().max() < close
    assert (weights.double().sum(-1) - 1).abs().max() < 3 * close
    assert weights[~mask].eq(0).all()
    weights.float().square().sum().backward()
    learned = [parameter.grad for parameter in single.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in (scores.grad, *learned))


@given(rows)
def test_softmax_equals_its_formula(values: list[float]) -> None:
    scores = torch.tensor(values, dtype=torch.float64)
    exponentials = [math.exp(value) for value in values]
    expected = [e / sum(exponentials) for e in exponentials]
    assert Softmax()(scores, full_mask(scores)).tolist() == pytest.approx(expected, abs=1e-10)


@given(rows)
def test_sparsemax_equals_its_closed_form(values: list[float]) -> None:
    """Algorithm 1 of Martins and Astudillo (2016), line by line; and the entmax package's result."""
    scores = torch.tensor(values, dtype=torch.float64)
    ordered = sorted(values, reverse=True)
    size = max(k for k in range(1, len(values) + 1) if 1 + k * ordered[k - 1] > sum(ordered[:k]))
    tau = (sum(ordered[:size]) - 1) / size
    found = Sparsemax()(scores, full_mask(scores))
    assert found.tolist() == pytest.approx([max(value - tau, 0) for value in values], abs=1e-10)
    assert (found - entmax.sparsemax(scores, dim=-1)).abs().max() < 1e-10


@given(rows)
def test_entmax_solves_its_equation(values: list[float]) -> None:
    """p = max(z / 2 - tau, 0)^2 with tau found by bisection; and the entmax package's result."""
    low, high = max(values) / 2 - 1, max(values) / 2
    for _ in range(100):
        tau = (low + high) / 2
        if sum(max(value / 2 - tau, 0) ** 2 for value in values) >= 1:
            low = tau
        else:
            high = tau
    scores = torch.tensor(values, dtype=torch.float64)
    found = Entmax15()(scores, full_mask(scores))
    assert found.tolist() == pytest.approx([max(value / 2 - tau, 0) ** 2 for value in values], abs=1e-7)
    assert (found - entmax.entmax15(scores, dim=-1)).abs().max() < 1e-7


def test_sparse_normalizers_give_exact_zeros_where_softmax_does_not() -> None:
    scores = torch.tensor([3.0, 1.9, 1.0, -2.0], dtype=torch.float64)
    zeros = {type(one).__name__: int((one(scores, full_mask(scores)) == 0).sum()) for one in EVERY[:4]}
    assert zeros == {"Softmax": 0, "Sparsemax": 3, "Entmax15": 2, "TopK": 2}


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [0, 1, 0]), (2, [1 / (1 + math.e), math.e / (1 + math.e), 0]), (9, None)]
)
def test_top_k_is_softmax_over_the_best(k: int, expected: list[float] | None) -> None:
    scores = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    found = TopK(k=k)(scores, full_mask(scores)).tolist()
    assert found == pytest.approx(expected or scores.softmax(-1).tolist(), abs=1e-12)


def test_temperature_divides_the_scores_and_is_learned_on_request() -> None:
    scores = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    fixed, learned = EVERY[4], EVERY[5]
    assert fixed(scores, full_mask(scores)).tolist() == pytest.approx((scores / 0.5).softmax(-1).tolist(), abs=1e-6)
    assert list(fixed.parameters()) == []
    learned(scores, full_mask(scores)).square().sum().backward()
    (log_temperature,) = learned.parameters()
    assert log_temperature.grad is not None and log_temperature.grad != 0


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (TopK, {"k": 0}, "normalizer.k must be at least 1, not 0"),
        (TemperatureSoftmax, {"temperature": 0.0, "learned": True}, "normalizer.temperature must be above 0, not 0.0"),
    ],
)
def test_wrong_arguments_are_refused(kind: type, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


@every_one
def test_bf16_gives_nearly_the_weights_of_float64(normalizer: Normalizer) -> None:
    scores, mask = some_scores(4, 6)
    rounded = scores.bfloat16()
    found = normalizer(rounded, mask)
    assert found.dtype is torch.bfloat16
    assert (found.double() - normalizer(rounded.double(), mask)).abs().max() < 0.02
