"""A trained model in int8: nearly the same log-probabilities in a quarter of the bytes."""

import io

import pytest
import torch
from contract.combinations import Triple, some_batch
from torch import nn

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.errors import ConfigError
from seq2seq.model.int8 import to_int8
from seq2seq.runtime.device import choose_runtime
from seq2seq.search.beam import BeamSearch
from seq2seq.training.preflight import check

TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("transformer", "multihead", "transformer", (("distinct_layers", 1),), (("feed_forward", "swiglu"),)),
    Triple("transformer", "grouped_query", "transformer", (), (("self_attention", "windowed"),)),
    Triple("transformer", "multihead", "ssru"),
    Triple("transformer", "multihead", "average"),
    Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True))),
    Triple("gru", "luong_concat", "gru", (("attend", "after"), ("input_feeding", False)), (("generator", "pointer"),)),
]


@pytest.mark.parametrize("tie", ["none", "all"])
@pytest.mark.parametrize("triple", TRIPLES, ids=str)
@torch.no_grad()
def test_log_probabilities_change_a_little_and_search_works(triple: Triple, tie: str) -> None:
    changes = {} if ("generator", "pointer") in triple.others and tie == "none" else {"tie": tie}
    model, batch = triple.model(**changes).float(), some_batch([6, 1, 4], [3, 5, 0])
    before = model.log_probs(batch)
    to_int8(model)
    difference = (model.log_probs(batch) - before)[batch.target_mask].abs()
    assert 0 < difference.mean() < 0.05
    search = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)
    assert [len(found) for found in search(model, batch.source, batch.source_mask)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("decoder", "options", "own"),
    [
        ("transformer", {}, 2),
        ("ssru", {}, 1),
        ("average", {}, 1),
        ("average", {"average_feed_forward": True}, 3),
    ],
)
def test_all_large_linear_layers_of_a_transformer_are_converted(
    decoder: str, options: dict[str, bool], own: int
) -> None:
    """`own` maps are in the block that reads earlier positions."""
    model = Triple("transformer", "multihead", decoder, tuple(options.items())).model().float()
    linear = [module for module in model.modules() if type(module) is nn.Linear]
    to_int8(model)
    left = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    assert left == ["encoder.embedding.adapt", "decoder.embedding.adapt", "generator.adapt"][: len(left)]
    assert len(linear) - len(left) == 2 * 4 + 2 * (own + 4 + 2) + 1


def test_weights_take_a_quarter_of_the_bytes() -> None:
    def size(module: nn.Module) -> int:
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        return file.tell()

    model = Triple("transformer", "multihead", "transformer").model().float()
    maps = model.encoder.layers[0].feed_forward
    maps.widen, maps.narrow = nn.Linear(512, 2048), nn.Linear(2048, 512)
    before = size(maps)
    to_int8(model)
    assert size(maps) < 0.3 * before


def test_int8_is_only_for_trained_models_on_a_cpu() -> None:
    assert choose_runtime("auto", "int8").precision == "int8"
    assert choose_runtime("cpu", "int8").dtype is torch.float32
    with pytest.raises(ConfigError, match="precision=int8 is for CPUs"):
        choose_runtime("cuda", "int8")
    settings = load_train(compose(CONFIGS, "train", ["precision=int8"]))
    assert check(settings) == ["precision=int8 is for evaluating and translating; train in auto, fp32 or bf16"]
