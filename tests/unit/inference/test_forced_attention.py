"""Attention weights for given targets: in a batch as alone, without padding, for every kind of model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contract.combinations import SMALL, Triple
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.inference.forced_attention import Forced, force
from seq2seq.runtime.device import Runtime
from seq2seq.training.run import train

SOURCES = [[5, 6, 7, 8], [9], [], [10, 11], [5, 5, 5, 5, 5, 5, 5]]
TARGETS = [[12, 13], [14, 15, 16, 17, 18], [4], [], [12]]
CPU = Runtime(torch.device("cpu"), torch.float32)
RECURRENT = Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", False)))
TRANSFORMER = Triple("transformer", "multihead", "transformer")


@pytest.mark.parametrize(
    ("triple", "layers", "heads"), [(RECURRENT, 1, 1), (TRANSFORMER, SMALL["layers"], SMALL["heads"])], ids=str
)
def test_a_batch_gives_each_sentence_the_weights_it_has_alone(triple: Triple, layers: int, heads: int) -> None:
    model = triple.model().train()
    together = dict(force(model, SOURCES, TARGETS, CPU, 1000))
    assert model.training
    assert sorted(together) == [0, 1, 3, 4]  # an empty source has no weights
    for number, forced in together.items():
        assert not forced.pooled
        assert forced.maps == layers * heads
        source, target = SOURCES[number], TARGETS[number]
        assert forced.visible == len(source) + (triple is TRANSFORMER)  # the LSTM hides the end symbol
        [(_, alone)] = force(model, [source], [target], CPU, 1000)
        for ours, its in zip(forced.layers, alone.layers, strict=True):
            assert ours.shape == (heads, len(target) + 1, len(source) + 1)
            assert np.allclose(ours, its, atol=1e-6)
            assert np.allclose(ours.sum(-1), 1.0, atol=1e-6)


def test_batches_are_small_enough_and_counted() -> None:
    counted: list[int] = []
    found = list(force(RECURRENT.model(), SOURCES, TARGETS, CPU, 8, counted.append))
    assert [number for number, _ in found] == [4, 1, 0, 3]  # longest first, by the longer of source and target
    assert counted == [1, 1, 1, 1]


def test_a_model_without_attention_has_no_weights() -> None:
    model = Triple("lstm", "none", "lstm", (("attend", "before"), ("input_feeding", False))).model()
    [(_, forced)] = force(model, [[5]], [[6]], CPU, 100)
    assert forced.layers == ()


@pytest.mark.parametrize("pooling", ["strided", "queries"])
def test_the_columns_of_a_pooled_memory_are_its_slots(pooling: str) -> None:
    parts = (("pooling", pooling),)
    model = Triple("lstm", "bahdanau", "lstm", RECURRENT.options, parts).model()
    found = dict(force(model, SOURCES, TARGETS, CPU, 1000))
    for number, forced in found.items():
        slots = SMALL["size"] if pooling == "queries" else max(1, -(-len(SOURCES[number]) // SMALL["stride"]))
        assert forced.pooled
        assert forced.layers[0].shape == (1, len(TARGETS[number]) + 1, slots)
        assert forced.columns(["a"] * len(SOURCES[number])) == ["1", "2", "3", "4"][:slots]


def test_the_columns_of_a_whole_memory_are_the_pieces_and_the_end_symbol() -> None:
    assert Forced((torch.zeros(1, 1, 3),), pooled=False, visible=3).columns(["▁a", "b"]) == ["▁a", "b", "</s>"]


ONE_UPDATE = [
    "run=probed",
    "device=cpu",
    "data.train=60",
    "data.valid=4",
    "tokenizer.vocab_size=400",
    "embedding.size=8",
    "encoder.hidden_size=8",
    "decoder.hidden_size=8",
    "search=greedy",
    "search.max_length=4",
    "trainer.max_updates=1",
    "trainer.validate_every=1",
    "trainer.probes=2",
]
LAYERS = ["decoder=transformer", "decoder.layers=2", "decoder.heads=2", "attention=multihead", "attention.heads=2"]
MAPS, GRIDS = ["attention/probe_1", "attention/probe_2"], ["attention/probe_1_heads", "attention/probe_2_heads"]


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ([], MAPS),
        (LAYERS, MAPS + GRIDS),
        (["pooling=strided"], MAPS),
        (["attention=none"], []),
        (["trainer.probes=0"], []),
    ],
    ids=["one-map", "layers-and-heads", "pooled", "no-attention", "no-probes"],
)
def test_probes_go_to_tensorboard(
    words: list[str], tags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {word.split("=")[0] for word in words}
    usual = [word for word in ONE_UPDATE if word.split("=")[0] not in given]
    train(load_train(compose(CONFIGS, "train", [*usual, *words])))
    board = EventAccumulator("runs/probed").Reload()
    assert sorted(board.Tags()["images"]) == sorted(tags)
