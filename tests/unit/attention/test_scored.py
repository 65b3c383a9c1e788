"""Attentions that score every position, compared with their papers' equations, written as loops in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from unit.attention.examples import (
    LENGTHS,
    WINDOW,
    A,
    B,
    M,
    Q,
    T,
    bahdanau,
    built,
    general,
    memory_of,
    softmax,
    some_query,
    vector,
)

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.base import Attention, ScoredAttention
from seq2seq.attention.cosine import CosineAttention
from seq2seq.attention.coverage import CoverageAttention
from seq2seq.attention.local_p import LocalPredictiveAttention
from seq2seq.attention.luong_concat import LuongConcatAttention
from seq2seq.attention.luong_dot import LuongDotAttention
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.attention.none import NoAttention
from seq2seq.attention.scaled_dot import ScaledDotAttention
from seq2seq.normalizer.softmax import Softmax


def concat(attention: LuongConcatAttention, query: Tensor, key: Tensor) -> float:
    joined = torch.cat((query, key))
    v = vector(attention.v)
    return sum(v[a] * math.tanh(float(attention.map.weight[a] @ joined)) for a in range(A))


def dot(attention: LuongDotAttention, query: Tensor, key: Tensor) -> float:
    scale = 1.0 if attention.scale is None else float(attention.scale)
    return scale * sum(float(q) * float(k) for q, k in zip(query, key, strict=True))


def cosine(attention: CosineAttention, query: Tensor, key: Tensor) -> float:
    asked, found = attention.query_map.weight @ query, attention.key_map.weight @ key
    lengths = math.sqrt(sum(float(x) ** 2 for x in asked)) * math.sqrt(sum(float(x) ** 2 for x in found))
    product = sum(float(x) * float(y) for x, y in zip(asked, found, strict=True))
    return math.exp(float(attention.log_scale)) * product / lengths


def scaled_dot(attention: ScaledDotAttention, query: Tensor, key: Tensor) -> float:
    asked = attention.query_map.weight @ query + attention.query_map.bias
    found = attention.key_map.weight @ key
    return sum(float(x) * float(y) for x, y in zip(asked, found, strict=True)) / math.sqrt(A)


def identity(attention: Attention, state: Tensor) -> Tensor:
    return state


def projected(attention: ScaledDotAttention, state: Tensor) -> Tensor:
    return attention.value_map.weight @ state + attention.value_map.bias


SCORED = [
    *((BahdanauAttention, {"attn_dim": A, "normed": normed}, M, bahdanau, identity) for normed in (False, True)),
    *((LuongConcatAttention, {"attn_dim": A, "normed": normed}, M, concat, identity) for normed in (False, True)),
    *((LuongGeneralAttention, {"scaled": scaled}, M, general, identity) for scaled in (False, True)),
    *((LuongDotAttention, {"scaled": scaled}, Q, dot, identity) for scaled in (False, True)),
    (CosineAttention, {"attn_dim": A, "scale": 3.0}, M, cosine, identity),
    (ScaledDotAttention, {"attn_dim": A}, M, scaled_dot, projected),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "width", "score", "value"), SCORED, ids=lambda value: getattr(value, "__name__", "")
)
@torch.no_grad()
def test_scores_weights_and_contexts(
    kind: type[ScoredAttention],
    arguments: dict[str, Any],
    width: int,
    score: Callable[..., float],
    value: Callable[..., Tensor],
) -> None:
    attention, memory, query = built(kind, memory_dim=width, dropout=0.0, **arguments), memory_of(width), some_query()
    attended, state = attention(query, attention.start(memory), need_weights=True)
    assert state.position == T
    assert attended.context.shape == (B, T, attention.context_dim)
    assert attended.weights is not None
    for b, length in enumerate(LENGTHS):
        states = memory.states[b, :length]
        for t in range(T):
            weights = softmax([score(attention, query[b, t], state) for state in states])
            context = sum(weight * value(attention, state) for weight, state in zip(weights, states, strict=True))
            assert attended.weights[b, 0, t, :length].tolist() == pytest.approx(weights, abs=1e-10)
            assert attended.weights[b, 0, t, length:].abs().sum() == 0
            assert (attended.context[b, t] - context).abs().max() < 1e-10


def test_no_attention_has_an_empty_context() -> None:
    attention = NoAttention(query_dim=Q, memory_dim=M, normalizer=Softmax)
    attended, _ = attention(torch.randn(B, T, Q), attention.start(memory_of()))
    assert attended.context.shape == (B, T, 0)
    assert attended.weights is None


GRADIENTS = [
    (BahdanauAttention, {"attn_dim": A, "normed": False}),
    (BahdanauAttention, {"attn_dim": A, "normed": True}),
    (LuongConcatAttention, {"attn_dim": A, "normed": False}),
    (LuongGeneralAttention, {"scaled": True}),
    (CosineAttention, {"attn_dim": A, "scale": 3.0}),
    (LocalPredictiveAttention, {"attn_dim": A, "window": WINDOW}),
    (CoverageAttention, {"attn_dim": A, "normed": False, "fertility": 2.0}),
]


@pytest.mark.parametrize(("kind", "arguments"), GRADIENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_gradients(kind: type[Attention], arguments: dict[str, Any]) -> None:
    attention, memory = built(kind, dropout=0.0, **arguments), memory_of()
    query = some_query().requires_grad_()
    assert torch.autograd.gradcheck(lambda q: attention(q, attention.start(memory))[0].context, query)


def test_returned_weights_are_those_before_dropout() -> None:
    wired = {"query_dim": M, "memory_dim": M, "normalizer": Softmax}
    attention = LuongDotAttention(**wired, scaled=False, dropout=0.9).double().train()
    attended, _ = attention(some_query(M), attention.start(memory_of()), need_weights=True)
    assert attended.weights is not None
    assert (attended.weights.sum(-1) - 1).abs().max() < 1e-10
