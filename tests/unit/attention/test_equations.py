"""Each mechanism against its paper's equations, written out loop by loop in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.base import Attention, ScoredAttention
from seq2seq.attention.cosine import CosineAttention
from seq2seq.attention.coverage import CoverageAttention, Covered
from seq2seq.attention.local_m import LocalMonotonicAttention
from seq2seq.attention.local_p import LocalPredictiveAttention
from seq2seq.attention.luong_concat import LuongConcatAttention
from seq2seq.attention.luong_dot import LuongDotAttention
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.attention.monotonic import MonotonicAttention
from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.attention.none import NoAttention
from seq2seq.attention.scaled_dot import ScaledDotAttention
from seq2seq.normalizer.softmax import Softmax
from seq2seq.normalizer.sparsemax import Sparsemax
from seq2seq.types import Memory

B, T, S, Q, M, A = 2, 3, 6, 6, 4, 7
LENGTHS = (6, 2)
WINDOW = 2


def built(kind: type[Attention], *, memory_dim: int = M, **arguments: Any) -> Any:
    """The mechanism in float64, with biases that are not zero."""
    wired = {"query_dim": Q, "memory_dim": memory_dim, "normalizer": Softmax}
    module = kind(**{name: value for name, value in wired.items() if name in kind.wired}, **arguments).double().eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def memory_of(width: int = M) -> Memory:
    torch.manual_seed(0)
    mask = torch.tensor([[s < length for s in range(S)] for length in LENGTHS])
    return Memory(
        torch.randn(B, S, width, dtype=torch.float64), mask, mask.long(), torch.zeros(B, width, dtype=torch.float64)
    )


def some_query(width: int = Q) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(B, T, width, dtype=torch.float64)


def bahdanau(attention: BahdanauAttention, query: Tensor, key: Tensor, covered: float = 0.0) -> float:
    w, u, b, v = attention.query_map.weight, attention.key_map.weight, attention.key_map.bias, attention.v.weight[0]
    c = attention.coverage_map.weight[:, 0] if isinstance(attention, CoverageAttention) else torch.zeros(A)
    inside = [float(w[a] @ query) + float(u[a] @ key) + float(b[a]) + float(c[a]) * covered for a in range(A)]
    return sum(float(v[a]) * math.tanh(inside[a]) for a in range(A))


def concat(attention: LuongConcatAttention, query: Tensor, key: Tensor) -> float:
    joined = torch.cat((query, key))
    return sum(float(attention.v.weight[0, a]) * math.tanh(float(attention.map.weight[a] @ joined)) for a in range(A))


def general(attention: LuongGeneralAttention, query: Tensor, key: Tensor) -> float:
    w = attention.key_map.weight
    return sum(float(query[i]) * float(w[i, j]) * float(key[j]) for i in range(Q) for j in range(len(key)))


def dot(attention: LuongDotAttention, query: Tensor, key: Tensor) -> float:
    return sum(float(q) * float(k) for q, k in zip(query, key, strict=True))


def cosine(attention: CosineAttention, query: Tensor, key: Tensor) -> float:
    asked, found = attention.query_map.weight @ query, attention.key_map.weight @ key
    lengths = math.sqrt(sum(float(x) ** 2 for x in asked)) * math.sqrt(sum(float(x) ** 2 for x in found))
    product = sum(float(x) * float(y) for x, y in zip(asked, found, strict=True))
    return math.exp(float(attention.log_scale)) * product / lengths


def scaled_dot(attention: ScaledDotAttention, query: Tensor, key: Tensor) -> float:
    asked = attention.query_map.weight @ query + attention.query_map.bias
    found = attention.key_map.weight @ key
    return sum(float(x) * float(y) for x, y in zip(asked, found, strict=True)) / math.sqrt(A)


def itself(attention: Attention, state: Tensor) -> Tensor:
    return state


def projected(attention: ScaledDotAttention, state: Tensor) -> Tensor:
    return attention.value_map.weight @ state + attention.value_map.bias


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


SCORED = [
    (BahdanauAttention, {"attn_dim": A}, M, bahdanau, itself),
    (LuongConcatAttention, {"attn_dim": A}, M, concat, itself),
    (LuongGeneralAttention, {}, M, general, itself),
    (LuongDotAttention, {}, Q, dot, itself),
    (CosineAttention, {"attn_dim": A, "scale": 3.0}, M, cosine, itself),
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


def inside(centre: float, length: int) -> list[int]:
    """The source positions of the window around a centre."""
    return [s for s in range(length) if abs(s - centre) <= WINDOW]


@torch.no_grad()
def test_local_m_sees_a_window_around_the_target_position() -> None:
    """The window moves on with the state's position, and ends at the source's last token."""
    attention = built(LocalMonotonicAttention, window=WINDOW, dropout=0.0)
    memory, query, first = memory_of(), some_query(), 2
    state = attention.start(memory)
    for _ in range(first):
        _, state = attention.step(query[:, :1], state)
    attended, _ = attention(query, state, need_weights=True)
    for b, length in enumerate(LENGTHS):
        for t in range(T):
            seen = inside(min(first + t, length - 1), length)
            weights = softmax([general(attention, query[b, t], memory.states[b, s]) for s in seen])
            expected = [weights[seen.index(s)] if s in seen else 0.0 for s in range(S)]
            assert attended.weights[b, 0, t].tolist() == pytest.approx(expected, abs=1e-10)


@torch.no_grad()
def test_local_p_predicts_its_window_and_favours_the_middle() -> None:
    attention = built(LocalPredictiveAttention, attn_dim=A, window=WINDOW, dropout=0.0)
    memory, query = memory_of(), some_query()
    attended, _ = attention(query, attention.start(memory), need_weights=True)
    for b, length in enumerate(LENGTHS):
        for t in range(T):
            hidden = [math.tanh(float(row @ query[b, t])) for row in attention.position_map.weight]
            share = sum(float(v) * h for v, h in zip(attention.v.weight[0], hidden, strict=True))
            centre = (length - 1) / (1 + math.exp(-share))
            seen = inside(centre, length)
            weights = softmax([general(attention, query[b, t], memory.states[b, s]) for s in seen])
            deviation = WINDOW / 2
            gauss = {s: math.exp(-((s - centre) ** 2) / (2 * deviation**2)) for s in seen}
            expected = [weights[seen.index(s)] * gauss[s] if s in seen else 0.0 for s in range(S)]
            assert attended.weights[b, 0, t].tolist() == pytest.approx(expected, abs=1e-10)
            context = sum(weight * state for weight, state in zip(expected, memory.states[b], strict=True))
            assert (attended.context[b, t] - context).abs().max() < 1e-10


def test_local_p_moves_its_centre_by_gradient() -> None:
    attention = built(LocalPredictiveAttention, attn_dim=A, window=WINDOW, dropout=0.0)
    attended, _ = attention(some_query(), attention.start(memory_of()))
    attended.context.sum().backward()
    assert attention.position_map.weight.grad.abs().max() > 0
    assert attention.v.weight.grad.abs().max() > 0


@pytest.mark.parametrize("fertility", [None, 2.0])
@torch.no_grad()
def test_coverage_adds_up_what_was_read(fertility: float | None) -> None:
    attention = built(CoverageAttention, attn_dim=A, fertility=fertility, dropout=0.0)
    memory, query = memory_of(), some_query()
    attended, state = attention(query, attention.start(memory), need_weights=True)
    assert isinstance(state, Covered) and state.position == T
    for b, length in enumerate(LENGTHS):
        states = memory.states[b, :length]
        expected = [1.0] * length
        if fertility is not None:
            shares = [float(attention.fertility_map.weight[0] @ state) for state in states]
            expected = [fertility / (1 + math.exp(-share)) for share in shares]
        covered = [0.0] * length
        for t in range(T):
            scores = [bahdanau(attention, query[b, t], states[s], covered[s]) for s in range(length)]
            weights = softmax(scores)
            assert attended.weights[b, 0, t, :length].tolist() == pytest.approx(weights, abs=1e-10)
            penalty = sum(min(weight, c) for weight, c in zip(weights, covered, strict=True))
            assert float(attended.penalty[b, t]) == pytest.approx(penalty, abs=1e-10)
            covered = [c + weight / n for c, weight, n in zip(covered, weights, expected, strict=True)]
        assert state.coverage[b, 0, :length].tolist() == pytest.approx(covered, abs=1e-10)


@torch.no_grad()
def test_coverage_of_hypotheses_follows_their_parents() -> None:
    attention, memory = built(CoverageAttention, attn_dim=A, fertility=None, dropout=0.0), memory_of()
    query = some_query()
    _, state = attention.step(query[:, :1], attention.start(memory))
    _, state = attention.step(query, state.advance(torch.zeros(B, T, dtype=torch.long)))
    turned = state.advance(torch.tensor([[2, 2, 0], [1, 0, 1]]))
    assert torch.equal(turned.coverage[0], state.coverage[0, [2, 2, 0]])
    assert torch.equal(turned.keep(torch.tensor([1])).coverage[0], state.coverage[1, [1, 0, 1]])


def stopping(attention: MonotonicAttention, query: Tensor, key: Tensor) -> float:
    w, u, b, v = attention.query_map.weight, attention.key_map.weight, attention.key_map.bias, attention.v
    length = math.sqrt(sum(float(v[a]) ** 2 for a in range(A)))
    hidden = [math.tanh(float(w[a] @ query) + float(u[a] @ key) + float(b[a])) for a in range(A)]
    energy = float(attention.gain) * sum(float(v[a]) / length * hidden[a] for a in range(A)) + float(attention.offset)
    return 1 / (1 + math.exp(-energy))


@torch.no_grad()
def test_monotonic_attention_expects_all_ways_to_read_on() -> None:
    attention = built(MonotonicAttention, attn_dim=A, offset=0.0, noise=1.0, hard=False, dropout=0.0)
    memory, query = memory_of(), some_query()
    attended, _ = attention(query, attention.start(memory), need_weights=True)
    for b, length in enumerate(LENGTHS):
        before = [1.0] + [0.0] * (length - 1)
        for t in range(T):
            p = [stopping(attention, query[b, t], memory.states[b, s]) for s in range(length)]
            passes = [[math.prod(1 - p[k] for k in range(j, s)) for j in range(s + 1)] for s in range(length)]
            before = [p[s] * sum(before[j] * passes[s][j] for j in range(s + 1)) for s in range(length)]
            assert attended.weights[b, 0, t, :length].tolist() == pytest.approx(before, abs=1e-10)
            expected = sum(before[s] * memory.states[b, s] for s in range(length))
            assert (attended.context[b, t] - expected).abs().max() < 1e-10
    assert attended.weights[1, 0, :, LENGTHS[1] :].abs().max() == 0


@torch.no_grad()
def test_hard_monotonic_attention_reads_one_position_a_step_and_never_goes_back() -> None:
    attention = built(MonotonicAttention, attn_dim=A, offset=0.0, noise=1.0, hard=True, dropout=0.0)
    attention.gain.fill_(5.0)
    attention.offset.zero_()
    memory = memory_of()
    queries = 3 * torch.randn(B, 20, Q, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    weights = attention(queries, attention.start(memory), need_weights=True)[0].weights[:, 0]
    for b, length in enumerate(LENGTHS):
        stands: int | None = 0
        for t in range(20):
            taken = [s for s in range(length) if stopping(attention, queries[b, t], memory.states[b, s]) > 0.5]
            stands = None if stands is None else next((s for s in taken if s >= stands), None)
            assert weights[b, t].tolist() == [float(s == stands) for s in range(S)]
    assert weights[:, 0].sum() > 0  # some begin by reading, and all come to the end
    assert weights[:, -1].sum() == 0


def test_monotonic_attention_is_decided_by_noise_in_training_only() -> None:
    attention = built(MonotonicAttention, attn_dim=A, offset=0.0, noise=1.0, hard=False, dropout=0.0)
    memory, query = memory_of(), some_query()
    one, other = (attention(query, attention.start(memory))[0].context for _ in range(2))
    assert torch.equal(one, other)
    attention.train()
    one, other = (attention(query, attention.start(memory))[0].context for _ in range(2))
    assert not torch.allclose(one, other)


@torch.no_grad()
def test_multi_head_attention_is_torchs_own() -> None:
    """nn.MultiheadAttention, with our weights in its places."""
    attention = built(MultiHeadAttention, heads=3, kv_heads=None, dropout=0.0)
    own = nn.MultiheadAttention(Q, 3, kdim=M, vdim=M, batch_first=True, dtype=torch.float64)
    own.q_proj_weight.copy_(attention.query_map.weight)
    own.k_proj_weight.copy_(attention.key_map.weight)
    own.v_proj_weight.copy_(attention.value_map.weight)
    own.in_proj_bias.copy_(torch.cat((attention.query_map.bias, torch.zeros(Q), attention.value_map.bias)))
    own.out_proj.weight.copy_(attention.output_map.weight)
    own.out_proj.bias.copy_(attention.output_map.bias)
    memory, query = memory_of(), some_query()
    expected, weights = own(
        query, memory.states, memory.states, key_padding_mask=~memory.mask, average_attn_weights=False
    )
    for need in (False, True):
        attended, _ = attention(query, attention.start(memory), need_weights=need)
        assert (attended.context - expected).abs().max() < 1e-10
        assert (attended.weights is None) is not need
    assert (attended.weights - weights).abs().max() < 1e-10


@pytest.mark.parametrize("kv_heads", [1, 2])
@torch.no_grad()
def test_grouped_query_attention_is_torchs_own(kv_heads: int) -> None:
    """scaled_dot_product_attention with enable_gqa, for six heads of width one."""
    attention = built(MultiHeadAttention, heads=6, kv_heads=kv_heads, dropout=0.0)
    memory, query = memory_of(), some_query()

    def heads(states: Tensor, count: int) -> Tensor:
        return states.unflatten(-1, (count, 1)).transpose(1, 2)

    context = F.scaled_dot_product_attention(
        heads(attention.query_map(query), 6),
        heads(attention.key_map(memory.states), kv_heads),
        heads(attention.value_map(memory.states), kv_heads),
        attn_mask=memory.mask[:, None, None, :],
        enable_gqa=True,
    )
    expected = attention.output_map(context.transpose(1, 2).flatten(2))
    for need in (False, True):
        attended, _ = attention(query, attention.start(memory), need_weights=need)
        assert (attended.context - expected).abs().max() < 1e-10


@torch.no_grad()
def test_the_heads_of_one_multi_head_attention_are_scaled_dot_attentions() -> None:
    """With one head and an identity for W_o, for every normalizer that is given."""
    for normalizer in (Softmax, Sparsemax):
        many = MultiHeadAttention(
            query_dim=Q, memory_dim=M, normalizer=normalizer, heads=1, kv_heads=None, dropout=0.0
        ).double()
        one = ScaledDotAttention(query_dim=Q, memory_dim=M, normalizer=normalizer, attn_dim=Q, dropout=0.0).double()
        one.load_state_dict({name: value for name, value in many.state_dict().items() if "output_map" not in name})
        nn.init.eye_(many.output_map.weight)
        memory, query = memory_of(), some_query()
        expected, _ = one(query, one.start(memory), need_weights=True)
        for need in (False, True):
            attended, _ = many(query, many.start(memory), need_weights=need)
            assert (attended.context - expected.context).abs().max() < 1e-10
        assert (attended.weights - expected.weights).abs().max() < 1e-10


def test_no_attention_has_an_empty_context() -> None:
    attention = NoAttention(query_dim=Q, memory_dim=M, normalizer=Softmax)
    attended, _ = attention(torch.randn(B, T, Q), attention.start(memory_of()))
    assert attended.context.shape == (B, T, 0)
    assert attended.weights is None


GRADIENTS = [
    (BahdanauAttention, {"attn_dim": A}),
    (LuongConcatAttention, {"attn_dim": A}),
    (CosineAttention, {"attn_dim": A, "scale": 3.0}),
    (LocalPredictiveAttention, {"attn_dim": A, "window": WINDOW}),
    (CoverageAttention, {"attn_dim": A, "fertility": 2.0}),
]


@pytest.mark.parametrize(("kind", "arguments"), GRADIENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_gradients(kind: type[Attention], arguments: dict[str, Any]) -> None:
    attention, memory = built(kind, dropout=0.0, **arguments), memory_of()
    query = some_query().requires_grad_()
    assert torch.autograd.gradcheck(lambda q: attention(q, attention.start(memory))[0].context, query)


def test_dropped_weights_are_not_the_ones_that_are_shown() -> None:
    attention = LuongDotAttention(query_dim=M, memory_dim=M, normalizer=Softmax, dropout=0.9).double().train()
    attended, _ = attention(some_query(M), attention.start(memory_of()), need_weights=True)
    assert attended.weights is not None
    assert (attended.weights.sum(-1) - 1).abs().max() < 1e-10
