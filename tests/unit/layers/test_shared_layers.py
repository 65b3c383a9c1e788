"""Shared layers equal distinct ones with the same weights, and are stored once."""

import pytest
import torch
from contract.combinations import VOCAB, Triple, some_batch

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.layers.shared_layers import distinct_problem, in_cycle
from seq2seq.types import Weights


@pytest.mark.parametrize(
    ("items", "depth", "expected"), [("abc", 6, "abcabc"), ("ab", 5, "ababa"), ("a", 3, "aaa"), ("abc", 3, "abc")]
)
def test_order(items: str, depth: int, expected: str) -> None:
    assert in_cycle(items, depth) == list(expected)


@pytest.mark.parametrize(("distinct", "wrong"), [(None, False), (1, False), (3, False), (4, True)])
def test_there_are_no_more_sets_of_weights_than_layers(distinct: int | None, wrong: bool) -> None:
    found = distinct_problem("encoder", distinct, 3)
    assert (found == "encoder.distinct_layers=4 is more than encoder.layers=3; null: all are distinct") is wrong


@torch.no_grad()
def test_shared_layers_equal_copies_of_them() -> None:
    """Three layers of two sets of weights; coverage gives each layer a state of its own."""
    options = (("layers", 3), ("distinct_layers", 2))
    shared = Triple("transformer", "coverage", "transformer", options).model()
    copies = Triple("transformer", "coverage", "transformer", options[:1]).model()
    tensors = model_tensors(shared)
    for name, tensor in model_tensors(copies).items():
        tensor.copy_(tensors[name.replace("layers.2.", "layers.0.")])
    assert not [name for name in tensors if "layers.2." in name]
    batch = some_batch([6, 1, 4], [3, 5, 2])
    assert torch.equal(shared.log_probs(batch), copies.log_probs(batch))
    memory = shared.encode(batch.source, batch.source_mask)
    attended = shared.decode(batch.target_in, memory, Weights.ALL).attended
    assert len(attended) == 3
    states = [model.start(model.encode(batch.source, batch.source_mask)) for model in (shared, copies)]
    for t in range(4):
        tokens = torch.randint(4, VOCAB, (3, 1), generator=torch.Generator().manual_seed(t))
        (first, _, states[0]), (second, _, states[1]) = (
            model.step(tokens, state) for model, state in zip((shared, copies), states, strict=True)
        )
        assert torch.equal(first, second)
