"""Attentions that depend on earlier steps, compared with their papers' equations, written as loops in float64."""

import math

import pytest
import torch
from torch import Tensor
from unit.attention.examples import LENGTHS, A, B, Q, S, T, bahdanau, built, memory_of, softmax, some_query

from seq2seq.attention.coverage import CoverageAttention, Covered
from seq2seq.attention.monotonic import MonotonicAttention


@pytest.mark.parametrize("fertility", [None, 2.0])
@torch.no_grad()
def test_coverage_is_the_sum_of_earlier_weights(fertility: float | None) -> None:
    attention = built(CoverageAttention, attn_dim=A, normed=False, fertility=fertility, dropout=0.0)
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
    attention, memory = built(CoverageAttention, attn_dim=A, normed=False, fertility=None, dropout=0.0), memory_of()
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
def test_monotonic_attention_is_the_expectation_over_all_paths() -> None:
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
def test_hard_monotonic_attention_reads_one_position_per_step_and_never_moves_back() -> None:
    attention = built(MonotonicAttention, attn_dim=A, offset=0.0, noise=1.0, hard=True, dropout=0.0)
    attention.gain.fill_(5.0)
    attention.offset.zero_()
    memory = memory_of()
    queries = 3 * torch.randn(B, 20, Q, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    weights = attention(queries, attention.start(memory), need_weights=True)[0].weights[:, 0]
    for b, length in enumerate(LENGTHS):
        position: int | None = 0
        for t in range(20):
            taken = [s for s in range(length) if stopping(attention, queries[b, t], memory.states[b, s]) > 0.5]
            position = None if position is None else next((s for s in taken if s >= position), None)
            assert weights[b, t].tolist() == [float(s == position) for s in range(S)]
    assert weights[:, 0].sum() > 0  # some read in the first step, and all reach the end
    assert weights[:, -1].sum() == 0


def test_monotonic_attention_has_noise_in_training_only() -> None:
    attention = built(MonotonicAttention, attn_dim=A, offset=0.0, noise=1.0, hard=False, dropout=0.0)
    memory, query = memory_of(), some_query()
    one, other = (attention(query, attention.start(memory))[0].context for _ in range(2))
    assert torch.equal(one, other)
    attention.train()
    one, other = (attention(query, attention.start(memory))[0].context for _ in range(2))
    assert not torch.allclose(one, other)
