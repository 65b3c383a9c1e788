"""The mechanisms as their papers write them: a query at a time, everything about the source computed anew for each.

Each function reads the parameters of ours, so that both compute the same; that is checked before anything is measured.
Shapes: query [B Q], states [B S M], mask [B S]; context [B C].
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.cosine import CosineAttention
from seq2seq.attention.coverage import CoverageAttention
from seq2seq.attention.local_m import LocalMonotonicAttention
from seq2seq.attention.local_p import LocalPredictiveAttention
from seq2seq.attention.luong_concat import LuongConcatAttention
from seq2seq.attention.luong_dot import LuongDotAttention
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.attention.monotonic import MonotonicAttention
from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.attention.none import NoAttention
from seq2seq.attention.scaled_dot import ScaledDotAttention


def none(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    return query[:, :0]


def bahdanau(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    hidden = torch.tanh(attention.query_map(query).unsqueeze(1) + attention.key_map(states))
    return average(attention.normalizer(attention.v(hidden).squeeze(-1), mask), states)


def luong_dot(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    return average(attention.normalizer(scaled(attention, products(query, states)), mask), states)


def luong_general(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    scores = scaled(attention, products(query, attention.key_map(states)))
    return average(attention.normalizer(scores, mask), states)


def scaled(attention: Any, scores: Tensor) -> Tensor:
    return scores if attention.scale is None else attention.scale * scores


def luong_concat(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    both = torch.cat((query.unsqueeze(1).expand(-1, states.shape[1], -1), states), -1)
    return average(attention.normalizer(attention.v(torch.tanh(attention.map(both))).squeeze(-1), mask), states)


def local_m(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    centre = torch.full((len(states), 1), step).to(mask.device).minimum(mask.sum(1, keepdim=True) - 1)
    distance = torch.arange(states.shape[1], device=mask.device) - centre
    scores = products(query, attention.key_map(states))
    return average(attention.normalizer(scores, mask & (distance.abs() <= attention.window)), states)


def local_p(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    share = torch.sigmoid(attention.v(torch.tanh(attention.position_map(query))).to(states.dtype))
    distance = torch.arange(states.shape[1], device=mask.device) - share * (mask.sum(1, keepdim=True) - 1)
    scores = products(query, attention.key_map(states))
    weights = attention.normalizer(scores, mask & (distance.abs() <= attention.window))
    deviation = attention.window / 2
    return average(weights * torch.exp(-(distance**2) / (2 * deviation**2)), states)


def cosine(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    similarity = F.cosine_similarity(attention.query_map(query).unsqueeze(1), attention.key_map(states), dim=-1)
    return average(attention.normalizer(attention.log_scale.exp() * similarity, mask), states)


def scaled_dot(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    keys, values = attention.key_map(states), attention.value_map(states)
    scores = products(attention.query_map(query), keys) / math.sqrt(keys.shape[-1])
    return average(attention.normalizer(scores, mask), values)


def multihead(attention: Any, query: Tensor, states: Tensor, mask: Tensor, step: int) -> Tensor:
    queries = attention.query_map(query).chunk(attention.heads, -1)
    keys = attention.key_map(states).chunk(attention.kv_heads, -1)
    values = attention.value_map(states).chunk(attention.kv_heads, -1)
    contexts = []
    for number, head in enumerate(queries):
        shared = number * attention.kv_heads // attention.heads
        scores = products(head, keys[shared]) / math.sqrt(head.shape[-1])
        contexts.append(average(attention.normalizer(scores, mask), values[shared]))
    return attention.output_map(torch.cat(contexts, -1))


def coverage(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """All steps, for each needs the weights of those before; without fertility, as configs/ has it."""
    covered = torch.zeros(mask.shape, dtype=states.dtype, device=mask.device)
    contexts = []
    for query in queries.unbind(1):
        mapped = attention.query_map(query).unsqueeze(1) + attention.key_map(states)
        hidden = torch.tanh(mapped + attention.coverage_map(covered.unsqueeze(-1)))
        weights = attention.normalizer(attention.v(hidden).squeeze(-1), mask)
        contexts.append(average(weights, states))
        covered = covered + weights.to(covered.dtype)
    return torch.stack(contexts, 1)


def monotonic(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """All steps, position by position as the paper's equations 13 and 14: each needs the weights before."""
    before = torch.zeros(mask.shape, dtype=states.dtype, device=mask.device)
    before[:, 0] = 1.0
    direction = attention.gain * F.normalize(attention.v, dim=0)
    contexts = []
    for query in queries.unbind(1):
        hidden = torch.tanh(attention.query_map(query).unsqueeze(1) + attention.key_map(states))
        energy = torch.matmul(hidden, direction.to(hidden.dtype)) + attention.offset
        stop = torch.sigmoid(energy).masked_fill(~mask, 0.0)
        arrived, weights = torch.zeros_like(before[:, 0]), []
        for position in range(mask.shape[1]):
            arrived = arrived + before[:, position]
            weights.append(stop[:, position] * arrived)
            arrived = arrived - weights[-1]
        before = torch.stack(weights, 1)
        contexts.append(average(before, states))
    return torch.stack(contexts, 1)


def products(query: Tensor, keys: Tensor) -> Tensor:
    """q . k for each position: [B S]."""
    return torch.matmul(keys, query.unsqueeze(-1)).squeeze(-1)


def average(weights: Tensor, values: Tensor) -> Tensor:
    """sum_s weights_s values_s: [B C]."""
    return torch.matmul(weights.unsqueeze(1), values.to(weights.dtype)).squeeze(1)


BY_STEP: dict[type, Callable[..., Tensor]] = {
    NoAttention: none,
    BahdanauAttention: bahdanau,
    LuongDotAttention: luong_dot,
    LuongGeneralAttention: luong_general,
    LuongConcatAttention: luong_concat,
    LocalMonotonicAttention: local_m,
    LocalPredictiveAttention: local_p,
    CosineAttention: cosine,
    ScaledDotAttention: scaled_dot,
    MultiHeadAttention: multihead,
}
ALL_STEPS: dict[type, Callable[..., Tensor]] = {CoverageAttention: coverage, MonotonicAttention: monotonic}


def naive(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> Tensor | None:
    """Contexts [B T C] of queries [B T Q]; None for a mechanism that has no naive version here."""
    if type(attention) in ALL_STEPS:
        return ALL_STEPS[type(attention)](attention, queries, states, mask)
    answer = BY_STEP.get(type(attention))
    if answer is None:
        return None
    steps = [answer(attention, query, states, mask, step) for step, query in enumerate(queries.unbind(1))]
    return torch.stack(steps, 1)
