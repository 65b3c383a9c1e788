"""Scaled dot-product attention: fused and plain versions equal the equation; biases, shared heads, normalizers."""

import math
from unittest.mock import Mock

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from seq2seq.layers.scaled_dot import heads_problem, scaled_dot_product
from seq2seq.normalizer.base import Normalizer
from seq2seq.normalizer.softmax import Softmax

B, H, T, S, D = 2, 4, 5, 6, 4


def inputs(kv_heads: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Query, keys, values, a mask that leaves each query a key, and a bias."""
    torch.manual_seed(0)
    query, bias = torch.randn(B, H, T, D, dtype=torch.float64), torch.randn(1, H, T, S, dtype=torch.float64)
    keys, values = torch.randn(2, B, kv_heads, S, D, dtype=torch.float64)
    mask = torch.rand(B, 1, T, S) < 0.6
    mask[..., 0] = True
    return query, keys, values, mask, bias


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_both_versions_equal_the_equation(kv_heads: int, masked: bool, biased: bool) -> None:
    query, keys, values, mask, bias = inputs(kv_heads)
    expected = torch.zeros(B, H, T, D, dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            g = h // (H // kv_heads)
            for t in range(T):
                seen = [s for s in range(S) if mask[b, 0, t, s] or not masked]
                scores = [float(query[b, h, t] @ keys[b, g, s]) / math.sqrt(D) for s in seen]
                if biased:
                    scores = [score + float(bias[0, h, t, s]) for score, s in zip(scores, seen, strict=True)]
                exponentials = [math.exp(score) for score in scores]
                for s, e in zip(seen, exponentials, strict=True):
                    expected[b, h, t] += e / sum(exponentials) * values[b, g, s]
    arguments = {"mask": mask if masked else None, "bias": bias if biased else None}
    fused, nothing = scaled_dot_product(query, keys, values, **arguments)
    plain, weights = scaled_dot_product(query, keys, values, **arguments, need_weights=True)
    assert nothing is None
    assert weights is not None
    assert (fused - expected).abs().max() < 1e-12
    assert (plain - expected).abs().max() < 1e-12
    assert (weights.sum(-1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("need_weights", [False, True])
def test_shared_heads_equal_torchs(need_weights: bool) -> None:
    query, keys, values, mask, _ = inputs(kv_heads=2)
    expected = F.scaled_dot_product_attention(query, keys, values, mask, enable_gqa=True)
    context, _ = scaled_dot_product(query, keys, values, mask, need_weights=need_weights)
    assert (context - expected).abs().max() < 1e-12


@pytest.mark.parametrize("kv_heads", [4, 1])
def test_gradients_of_both_versions_are_right(kv_heads: int) -> None:
    query, keys, values, mask, bias = (
        part.requires_grad_() if part.is_floating_point() else part for part in inputs(kv_heads)
    )
    for need in (False, True):
        assert torch.autograd.gradcheck(
            lambda q, k, v, b, need=need: scaled_dot_product(q, k, v, mask, bias=b, need_weights=need)[0],
            (query, keys, values, bias),
        )


def test_a_bias_may_contain_the_mask() -> None:
    query, keys, values, mask, bias = inputs(kv_heads=4)
    expected, _ = scaled_dot_product(query, keys, values, mask, bias=bias)
    closed = bias.masked_fill(~mask, float("-inf"))
    for need in (False, True):
        context, _ = scaled_dot_product(query, keys, values, bias=closed, need_weights=need)
        assert (context - expected).abs().max() < 1e-12


class Even(Normalizer):
    """The same weight for all positions, whatever the scores."""

    def forward(self, scores: Float[Tensor, "*N S"], mask: Bool[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
        shown = mask.expand(scores.shape).to(scores.dtype)
        return shown / shown.sum(-1, keepdim=True)


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_normalizer_replaces_the_softmax(need_weights: bool) -> None:
    query, keys, values, mask, bias = inputs(kv_heads=2)
    even, weights = scaled_dot_product(query, keys, values, mask, normalizer=Even(), need_weights=need_weights)
    shown = mask.double() / mask.sum(-1, keepdim=True)
    assert (even - shown @ values.repeat_interleave(2, 1)).abs().max() < 1e-12
    assert (weights is not None) is need_weights
    even, _ = scaled_dot_product(query, keys, values, normalizer=Even())
    assert (even - values.mean(2, keepdim=True).repeat_interleave(2, 1)).abs().max() < 1e-12
    usual, _ = scaled_dot_product(query, keys, values, mask, bias=bias, need_weights=need_weights)
    named, _ = scaled_dot_product(query, keys, values, mask, bias=bias, normalizer=Softmax(), need_weights=need_weights)
    assert torch.equal(usual, named)


def test_bf16_on_a_cpu_has_the_plain_version_and_is_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused kernel's backward pass is slow there."""
    fused = Mock(wraps=F.scaled_dot_product_attention)
    monkeypatch.setattr(F, "scaled_dot_product_attention", fused)
    query, keys, values, mask, bias = inputs(kv_heads=2)
    expected, _ = scaled_dot_product(query, keys, values, mask, bias=bias)
    assert fused.call_count == 1
    with torch.autocast("cpu", torch.bfloat16):
        autocast, _ = scaled_dot_product(query.float(), keys.float(), values.float(), mask, bias=bias.float())
    rounded, _ = scaled_dot_product(*(part.bfloat16() for part in (query, keys, values)), mask, bias=bias.bfloat16())
    assert fused.call_count == 1
    for context in (autocast, rounded):
        assert context.dtype is torch.bfloat16
        assert (context - expected).abs().max() < 0.05


def test_heads_that_do_not_divide_a_width() -> None:
    assert heads_problem("a.heads", 3, "a.width", 12) is None
    assert heads_problem("a.heads", 5, "a.width", 12) == "a.heads=5 does not divide a.width=12"
    assert heads_problem("a.heads", 0, "a.width", 12) == "a.heads=0 does not divide a.width=12"
