"""A recurrent model, written again sentence by sentence and step by step, learns the same on the same batches.

It shares nothing with the product but the initial weights: cells, masks, bridge, scores, readout and loss are those of
the papers, in plain products. So gradients are compared as well as outputs.
"""

from typing import Any

import pytest
import torch
from contract.combinations import Triple, some_batch
from torch import Tensor

from seq2seq.types import BOS, Batch

UPDATES = 4
Weights = dict[str, Tensor]


def cell(weights: Weights, name: str, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """An LSTM cell: gates in the order i, f, g, o."""
    w, u, b, c = (weights[f"{name}.kernel.{key}_l0"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    i, f, g, o = (w @ inputs + b + u @ state[0] + c).chunk(4)
    memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * memory.tanh(), memory


def encode(weights: Weights, source: list[int]) -> tuple[Tensor, Tensor]:
    """The states of the words and the summary: the last states of both directions."""
    states = [weights["encoder.embedding.table.weight"][token] for token in source]
    ends: list[Tensor] = []
    for layer in range(2):
        directions = []
        for side, inputs in (("forwards", states), ("backwards", states[::-1])):
            size = weights[f"encoder.{side}.{layer}.kernel.weight_hh_l0"].shape[1]
            state, outputs = (torch.zeros(size).double(), torch.zeros(size).double()), []
            for each in inputs:
                state = cell(weights, f"encoder.{side}.{layer}", each, state)
                outputs.append(state[0])
            directions.append(outputs)
        ends = [outputs[-1] for outputs in directions]
        states = [torch.cat(both) for both in zip(directions[0], directions[1][::-1], strict=True)]
    words = states[:-1] if len(states) > 1 else states  # the end symbol is hidden
    return torch.stack(words), torch.cat(ends)


def score(weights: Weights, name: str, query: Tensor, key: Tensor) -> Tensor:
    """One score of one query and one key."""
    at = {
        part: weights.get(f"decoder.attention.{part}") for part in ("query_map.weight", "key_map.weight", "map.weight")
    }
    if name == "luong_dot":
        return query @ key
    if name == "luong_general":
        return query @ (at["key_map.weight"] @ key)
    v = weights["decoder.attention.v.weight"][0]
    if name == "luong_concat":
        return v @ torch.tanh(at["map.weight"] @ torch.cat((query, key)))
    hidden = at["query_map.weight"] @ query + at["key_map.weight"] @ key + weights["decoder.attention.key_map.bias"]
    return v @ torch.tanh(hidden)


def nll(weights: Weights, triple: Triple, source: list[int], target: list[int]) -> Tensor:
    """-log p(target | source), the end symbol counted."""
    options = dict(triple.options)
    memory, summary = encode(weights, source)
    start = torch.tanh(weights["decoder.bridge.weight"] @ summary + weights["decoder.bridge.bias"]).chunk(4)
    states = [(start[0], start[1]), (start[2], start[3])]
    features = torch.zeros_like(start[0])
    total = torch.zeros(()).double()

    def context(query: Tensor) -> Tensor:
        scores = torch.stack([score(weights, triple.attention, query, key) for key in memory])
        return scores.softmax(0) @ memory

    for read, wanted in zip([BOS, *target[:-1]], target, strict=True):
        word = weights["decoder.embedding.table.weight"][read]
        before = [context(states[1][0])] if options["attend"] == "before" else []
        inputs = torch.cat([word, *before, *([features] if options["input_feeding"] else [])])
        for layer in range(2):
            states[layer] = cell(weights, f"decoder.stack.layers.{layer}", inputs, states[layer])
            inputs = states[layer][0]
        attended = before[0] if before else context(inputs)
        mixed = weights["decoder.readout.weight"] @ torch.cat((inputs, attended)) + weights["decoder.readout.bias"]
        if before:
            mixed = mixed + weights["decoder.embedding_readout.weight"] @ word
        features = torch.tanh(mixed)
        logits = weights["generator.output.weight"] @ features + weights["generator.output.bias"]
        total = total - logits.log_softmax(0)[wanted]
    return total


def rows(ids: Tensor, mask: Tensor) -> list[list[int]]:
    return [row[real].tolist() for row, real in zip(ids, mask, strict=True)]


def mean_nll(weights: Weights, triple: Triple, batch: Batch) -> Tensor:
    pairs = zip(rows(batch.source, batch.source_mask), rows(batch.target_out, batch.target_mask), strict=True)
    return torch.stack([nll(weights, triple, *pair) for pair in pairs]).sum() / batch.target_mask.sum()


def options(attend: str, *, feeding: bool) -> tuple[tuple[str, Any], ...]:
    return (("attend", attend), ("input_feeding", feeding))


TRIPLES = [
    Triple("lstm", "bahdanau", "lstm", options("before", feeding=False)),
    Triple("lstm", "bahdanau", "lstm", options("before", feeding=True)),
    Triple("lstm", "bahdanau", "lstm", options("after", feeding=False)),
    Triple("lstm", "luong_concat", "lstm", options("after", feeding=True)),
    Triple("lstm", "luong_general", "lstm", options("after", feeding=False)),
    Triple("lstm", "luong_dot", "lstm", options("after", feeding=True)),
]


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_both_learn_the_same(triple: Triple) -> None:
    model = triple.model().train()
    weights = {name: each.detach().clone().requires_grad_() for name, each in model.named_parameters()}
    ours, theirs = (torch.optim.Adam(each, lr=1e-2) for each in (model.parameters(), weights.values()))
    for update in range(UPDATES):
        batch = some_batch([5, 0, 3], [4, 2, 0], seed=update)
        losses = model.loss(batch).loss / batch.target_mask.sum(), mean_nll(weights, triple, batch)
        assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-9)
        for loss, optimizer in zip(losses, (ours, theirs), strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, each in model.named_parameters():
        assert (each - weights[name]).abs().max() < 1e-7, name
