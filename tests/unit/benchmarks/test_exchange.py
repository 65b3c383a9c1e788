"""The peers read the same ids and task as ours, and converted weights that compute the same."""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.model.builder import build_model
from seq2seq.types import BOS, EOS, PAD, Batch

WIDTH, HEADS, LAYERS, VOCABULARY = 16, 4, 2, 23


@pytest.fixture(autouse=True)
def in_benchmarks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of benchmarks/ import each other by module name."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))


def test_pairs_are_read_back_unchanged(tmp_path: Path) -> None:
    from peers.exchange import Pairs, read_pairs, write_pairs

    pairs = Pairs(
        np.array([5, 6, 7], np.uint16), np.array([0, 2, 2, 3]), np.array([8, 9], np.uint16), np.array([0, 0, 1, 2])
    )
    write_pairs(tmp_path / "train.npz", pairs)
    read = read_pairs(tmp_path / "train.npz")
    assert read.sources() == [[5, 6], [], [7]]
    assert read.targets() == [[], [8], [9]]
    assert read.target_length() == pytest.approx(2 / 3 + 1)
    assert read.source_ids.dtype == np.uint16


def test_task_describes_the_model_of_a_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peers.exchange import read_pairs, read_task
    from tasks import LSTMS, task

    monkeypatch.chdir(tmp_path)
    words = "data.train=200 data.valid=5 data.test=5 tokenizer.vocab_size=600"
    options = argparse.Namespace(data="cldr", words=words, width=32)
    for model, (attention, feeding) in LSTMS.items():
        made = task(model, options)
        folder = made.folder("here")
        stored = read_task(folder)
        assert (stored["attention"], stored["decoder"]["input_feeding"]) == (attention, feeding)
        assert (stored["encoder"]["hidden_size"], stored["decoder"]["hidden_size"], stored["embedding"]) == (32, 64, 32)
        assert stored["encoder"]["layers"] == stored["decoder"]["layers"] == 2
        assert (stored["vocabulary"], stored["tokens_per_update"]) == (600, 4096)
        assert made.settings.attention.arguments.get("attn_dim", 64) == 64
    pairs, corpus = read_pairs(folder / "train.npz"), made.data.corpora["train"]
    assert pairs.sources() == [corpus.source(number) for number in range(len(corpus))]
    assert pairs.targets() == [corpus.target(number) for number in range(len(corpus))]
    transformer = task("transformer", options).settings
    assert transformer.encoder.arguments["inner_size"] == 128
    assert transformer.tie == "all"


def test_converted_weights_compute_the_same_as_marian() -> None:
    from marian_weights import IMPOSSIBLE, marian_weights
    from tasks import transformer

    words = [*transformer(WIDTH).split(), "tie=all", f"encoder.layers={LAYERS}", f"decoder.layers={LAYERS}"]
    torch.manual_seed(1)
    model = build_model(load_train(compose(CONFIGS, "train", words)), source_vocab=VOCABULARY, target_vocab=VOCABULARY)
    for parameter in model.parameters():  # biases too, which are initialized to zero
        torch.nn.init.normal_(parameter, std=0.3)
    model.eval()
    source, target_in = torch.randint(EOS + 1, VOCABULARY, (3, 7)), torch.randint(EOS + 1, VOCABULARY, (3, 5))
    target_in[:, 0] = BOS
    real, shown = torch.ones_like(source, dtype=torch.bool), torch.ones_like(target_in, dtype=torch.bool)
    batch = Batch(source, real, target_in, target_in, shown, real.sum(1), torch.arange(3))
    with torch.no_grad():
        logits = marian(marian_weights(model_tensors(model)), source, target_in)
        assert (logits[..., [PAD, BOS]] < IMPOSSIBLE / 2).all()
        ours = model.log_probs(batch)
        ours[..., [PAD, BOS]] = -math.inf
    assert torch.allclose(logits.log_softmax(-1).exp(), ours.log_softmax(-1).exp(), atol=1e-6)


def test_unknown_weight_is_an_error() -> None:
    from marian_weights import marian_weights

    given = {"encoder.embedding.table.weight": torch.ones(4, 2), "generator.output.bias": torch.zeros(4)}
    with pytest.raises(AssertionError, match=r"not converted: encoder\.final_norm\.weight"):
        marian_weights({**given, "encoder.final_norm.weight": torch.ones(2)})


def marian(weights: dict[str, Tensor], source: Tensor, target: Tensor) -> Tensor:
    """MarianMT as described by its authors and Vaswani et al. (2017): logits [B T V]."""
    memory = stack(weights, "encoder", source, None)
    states = stack(weights, "decoder", target, memory)
    return states @ weights["model.shared.weight"].T + weights["final_logits_bias"]


def stack(weights: dict[str, Tensor], side: str, tokens: Tensor, memory: Tensor | None) -> Tensor:
    states = weights["model.shared.weight"][tokens] * math.sqrt(WIDTH) + positions(tokens.shape[1])
    hidden = None if memory is None else torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    for number in range(LAYERS):
        layer = Layer(weights, f"model.{side}.layers.{number}.")
        states = layer.norm("self_attn_layer_norm", states + layer.attend("self_attn", states, states, hidden))
        if memory is not None:
            states = layer.norm("encoder_attn_layer_norm", states + layer.attend("encoder_attn", states, memory, None))
        states = layer.norm("final_layer_norm", states + layer.linear("fc2", layer.linear("fc1", states).relu()))
    return states


class Layer:
    def __init__(self, weights: dict[str, Tensor], prefix: str) -> None:
        self.of: Any = lambda name: weights[prefix + name]

    def linear(self, name: str, states: Tensor) -> Tensor:
        return states @ self.of(f"{name}.weight").T + self.of(f"{name}.bias")

    def norm(self, name: str, states: Tensor) -> Tensor:
        return F.layer_norm(states, (WIDTH,), self.of(f"{name}.weight"), self.of(f"{name}.bias"))

    def attend(self, name: str, states: Tensor, memory: Tensor, hidden: Tensor | None) -> Tensor:
        given = {"q": states, "k": memory, "v": memory}
        query, keys, values = (
            self.linear(f"{name}.{part}_proj", each).chunk(HEADS, -1) for part, each in given.items()
        )
        contexts = []
        for head in range(HEADS):
            scores = query[head] @ keys[head].transpose(1, 2) / math.sqrt(WIDTH // HEADS)
            if hidden is not None:
                scores = scores.masked_fill(hidden, -math.inf)
            contexts.append(scores.softmax(-1) @ values[head])
        return self.linear(f"{name}.out_proj", torch.cat(contexts, -1))


def positions(length: int) -> Tensor:
    """All sines, then all cosines."""
    angles = torch.arange(length).unsqueeze(1) / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    return torch.cat((angles.sin(), angles.cos()), 1)
