"""Small attentions in float64, their inputs, and the scores that several equations share, written as loops."""

import math
from typing import Any

import torch
from torch import Tensor

from seq2seq.attention.bahdanau import BahdanauAttention
from seq2seq.attention.base import Attention
from seq2seq.attention.coverage import CoverageAttention
from seq2seq.attention.luong_general import LuongGeneralAttention
from seq2seq.layers.additive_score import ScoreVector
from seq2seq.normalizer.softmax import Softmax
from seq2seq.types import Memory

B, T, S, Q, M, A = 2, 3, 6, 6, 4, 7
LENGTHS = (6, 2)
WINDOW = 2


def built(kind: type[Attention], *, memory_dim: int = M, **arguments: Any) -> Any:
    """The attention in float64, with nonzero biases."""
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
    w, u, b, v = attention.query_map.weight, attention.key_map.weight, attention.key_map.bias, vector(attention.v)
    c = attention.coverage_map.weight[:, 0] if isinstance(attention, CoverageAttention) else torch.zeros(A)
    inside = [float(w[a] @ query) + float(u[a] @ key) + float(b[a]) + float(c[a]) * covered for a in range(A)]
    return sum(v[a] * math.tanh(inside[a]) for a in range(A))


def vector(v: ScoreVector) -> list[float]:
    """v, or g v / |v|."""
    numbers = [float(number) for number in v.weight[0]]
    if v.length is None:
        return numbers
    norm = math.sqrt(sum(number**2 for number in numbers))
    return [float(v.length) * number / norm for number in numbers]


def general(attention: LuongGeneralAttention, query: Tensor, key: Tensor) -> float:
    w, g = attention.key_map.weight, 1.0 if attention.scale is None else float(attention.scale)
    return g * sum(float(query[i]) * float(w[i, j]) * float(key[j]) for i in range(Q) for j in range(len(key)))


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score) for score in scores]
    return [e / sum(exponentials) for e in exponentials]
