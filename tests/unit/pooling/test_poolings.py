"""Each pooling compared with its definition in plain loops, in float64."""

import math

import pytest
import torch

from seq2seq.pooling.none import NoPooling
from seq2seq.pooling.queries import QueryPooling
from seq2seq.pooling.strided import StridedPooling
from seq2seq.types import Memory

B, S, M = 2, 7, 4
LENGTHS = (7, 2)


def some_memory() -> Memory:
    torch.manual_seed(0)
    mask = torch.tensor([[s < length for s in range(S)] for length in LENGTHS])
    return Memory(torch.randn(B, S, M, dtype=torch.float64), mask, mask.long(), torch.randn(B, M, dtype=torch.float64))


def test_no_pooling_changes_nothing() -> None:
    memory = some_memory()
    assert NoPooling(memory_dim=M)(memory) is memory


@torch.no_grad()
def test_strided_convolution_mixes_neighbours() -> None:
    memory = some_memory()
    pooling = StridedPooling(memory_dim=M, stride=3, kind="convolution").double()
    pooled = pooling(memory)
    assert pooled.mask.tolist() == [[True] * 3, [True, False, False]]
    assert pooled.tokens is None
    assert pooled.summary is memory.summary
    for b, length in enumerate(LENGTHS):
        for r in range(math.ceil(length / 3)):
            expected = pooling.mix.bias.clone()
            for place in range(3):
                if 3 * r + place < length:
                    expected += pooling.mix.weight[:, place * M : (place + 1) * M] @ memory.states[b, 3 * r + place]
            assert (pooled.states[b, r] - expected).abs().max() < 1e-10


@torch.no_grad()
def test_strided_mean_is_over_real_states() -> None:
    memory = some_memory()
    pooled = StridedPooling(memory_dim=M, stride=3, kind="mean")(memory)
    for b, length in enumerate(LENGTHS):
        for r in range(math.ceil(length / 3)):
            expected = memory.states[b, 3 * r : min(3 * r + 3, length)].mean(0)
            assert (pooled.states[b, r] - expected).abs().max() < 1e-10


@torch.no_grad()
def test_learned_queries_read_the_whole_memory() -> None:
    memory = some_memory()
    pooling = QueryPooling(memory_dim=M, size=3, heads=2).double()
    pooled = pooling(memory)
    assert pooled.mask.all() and pooled.mask.shape == (B, 3)
    width = M // 2
    for b, length in enumerate(LENGTHS):
        for r in range(3):
            heads = []
            for h in range(2):
                part = slice(h * width, (h + 1) * width)
                keys = [(pooling.key_map.weight @ memory.states[b, s])[part] for s in range(length)]
                values = [pooling.value_map(memory.states[b, s])[part] for s in range(length)]
                scores = [math.exp(float(pooling.queries[r][part] @ key) / math.sqrt(width)) for key in keys]
                heads.append(sum(score / sum(scores) * value for score, value in zip(scores, values, strict=True)))
            expected = pooling.output_map(torch.cat(heads)) + pooling.queries[r]
            assert (pooled.states[b, r] - expected).abs().max() < 1e-10


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (StridedPooling, {"stride": 1, "kind": "mean"}, "pooling.stride must be at least 2, not 1, or pooling=none"),
        (QueryPooling, {"size": 3, "heads": 3}, "pooling.heads=3 does not divide the memory's width=4"),
    ],
)
def test_wrong_arguments_are_reported(kind: type, arguments: dict, message: str) -> None:
    assert kind.problem(memory_dim=M, **arguments) == message
