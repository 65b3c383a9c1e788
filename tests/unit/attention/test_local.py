"""Local attention compared with the equations of Luong et al. (2015), written as loops in float64."""

import math

import pytest
import torch
from unit.attention.examples import LENGTHS, WINDOW, A, S, T, built, general, memory_of, softmax, some_query

from seq2seq.attention.local_m import LocalMonotonicAttention
from seq2seq.attention.local_p import LocalPredictiveAttention


def inside(centre: float, length: int) -> list[int]:
    """The source positions of the window around a centre."""
    return [s for s in range(length) if abs(s - centre) <= WINDOW]


@torch.no_grad()
def test_local_m_sees_a_window_around_the_target_position() -> None:
    """The window moves with the state's position and stops at the last source token."""
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


def test_local_p_centre_has_gradients() -> None:
    attention = built(LocalPredictiveAttention, attn_dim=A, window=WINDOW, dropout=0.0)
    attended, _ = attention(some_query(), attention.start(memory_of()))
    attended.context.sum().backward()
    assert attention.position_map.weight.grad.abs().max() > 0
    assert attention.v.weight.grad.abs().max() > 0
