"""Each mechanism against its paper's equations, written out loop by loop in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.base import Attention, ScoredAttention
from seq2seq.attention.luong_concat import LuongConcatAttention
from seq2seq.attention.luong_dot import LuongDotAttention
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.attention.none import NoAttention
from seq2seq.types import Memory

B, T, S, Q, M, A = 2, 3, 5, 6, 4, 7
LENGTHS = (5, 2)


def bahdanau(attention: BahdanauAttention, query: Tensor, key: Tensor) -> float:
    w, u, b, v = (
        attention.query_map.weight,
        attention.key_map.weight,
        attention.key_map.bias,
        attention.v.weight[0],
    )
    hidden = [math.tanh(float(w[a] @ query) + float(u[a] @ key) + float(b[a])) for a in range(A)]
    return sum(float(v[a]) * hidden[a] for a in range(A))


def concat(attention: LuongConcatAttention, query: Tensor, key: Tensor) -> float:
    joined = torch.cat((query, key))
    return sum(float(attention.v.weight[0, a]) * math.tanh(float(attention.map.weight[a] @ joined)) for a in range(A))


def general(attention: LuongGeneralAttention, query: Tensor, key: Tensor) -> float:
    w = attention.key_map.weight
    return sum(float(query[i]) * float(w[i, j]) * float(key[j]) for i in range(Q) for j in range(len(key)))


def dot(attention: LuongDotAttention, query: Tensor, key: Tensor) -> float:
    return sum(float(q) * float(k) for q, k in zip(query, key, strict=True))


SCORED = [
    (BahdanauAttention, {"attn_dim": A}, M, bahdanau),
    (LuongConcatAttention, {"attn_dim": A}, M, concat),
    (LuongGeneralAttention, {}, M, general),
    (LuongDotAttention, {}, Q, dot),
]


def memory_of(width: int) -> Memory:
    torch.manual_seed(0)
    mask = torch.tensor([[s < length for s in range(S)] for length in LENGTHS])
    return Memory(
        torch.randn(B, S, width, dtype=torch.float64), mask, mask.long(), torch.zeros(B, width, dtype=torch.float64)
    )


def shaken(module: nn.Module) -> nn.Module:
    """In float64, with biases that are not zero."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


@pytest.mark.parametrize(
    ("kind", "arguments", "width", "score"), SCORED, ids=lambda value: getattr(value, "__name__", "")
)
@torch.no_grad()
def test_scores_weights_and_contexts(
    kind: type[ScoredAttention], arguments: dict[str, int], width: int, score: Callable[..., float]
) -> None:
    attention = shaken(kind(query_dim=Q, memory_dim=width, dropout=0.0, **arguments))
    memory = memory_of(width)
    query = torch.randn(B, T, Q, dtype=torch.float64)
    attended, state = attention(query, attention.start(memory), need_weights=True)
    assert state.position == T
    assert attended.context.shape == (B, T, attention.context_dim)
    for b, length in enumerate(LENGTHS):
        for t in range(T):
            exponentials = [math.exp(score(attention, query[b, t], memory.states[b, s])) for s in range(length)]
            weights = [e / sum(exponentials) for e in exponentials]
            context = sum(weight * memory.states[b, s] for s, weight in enumerate(weights))
            assert attended.weights is not None
            assert attended.weights[b, 0, t, :length].tolist() == pytest.approx(weights, abs=1e-10)
            assert attended.weights[b, 0, t, length:].abs().sum() == 0
            assert (attended.context[b, t] - context).abs().max() < 1e-10


@torch.no_grad()
def test_multi_head_attention_is_torchs_own() -> None:
    """nn.MultiheadAttention, with our weights in its places."""
    attention = shaken(MultiHeadAttention(query_dim=Q, memory_dim=M, heads=3, dropout=0.0))
    own = nn.MultiheadAttention(Q, 3, kdim=M, vdim=M, batch_first=True, dtype=torch.float64)
    own.q_proj_weight.copy_(attention.query_map.weight)
    own.k_proj_weight.copy_(attention.key_map.weight)
    own.v_proj_weight.copy_(attention.value_map.weight)
    own.in_proj_bias.copy_(torch.cat((attention.query_map.bias, torch.zeros(Q), attention.value_map.bias)))
    own.out_proj.weight.copy_(attention.output_map.weight)
    own.out_proj.bias.copy_(attention.output_map.bias)
    memory, query = memory_of(M), torch.randn(B, T, Q, dtype=torch.float64)
    expected, weights = own(
        query, memory.states, memory.states, key_padding_mask=~memory.mask, average_attn_weights=False
    )
    for need in (False, True):
        attended, _ = attention(query, attention.start(memory), need_weights=need)
        assert (attended.context - expected).abs().max() < 1e-10
        assert (attended.weights is None) is not need
    assert (attended.weights - weights).abs().max() < 1e-10


def test_no_attention_has_an_empty_context() -> None:
    attention = NoAttention(query_dim=Q, memory_dim=M)
    attended, _ = attention(torch.randn(B, T, Q), attention.start(memory_of(M)))
    assert attended.context.shape == (B, T, 0)
    assert attended.weights is None


@pytest.mark.parametrize("kind", [BahdanauAttention, LuongConcatAttention])
def test_gradients(kind: type[Attention]) -> None:
    attention = shaken(kind(query_dim=Q, memory_dim=M, attn_dim=A, dropout=0.0))
    memory = memory_of(M)
    query = torch.randn(B, T, Q, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: attention(q, attention.start(memory))[0].context, query)


def test_dropped_weights_are_not_the_ones_that_are_shown() -> None:
    attention = LuongDotAttention(query_dim=M, memory_dim=M, dropout=0.9).double().train()
    state = attention.start(memory_of(M))
    attended, _ = attention(torch.randn(B, T, M, dtype=torch.float64), state, need_weights=True)
    assert attended.weights is not None
    assert (attended.weights.sum(-1) - 1).abs().max() < 1e-10
