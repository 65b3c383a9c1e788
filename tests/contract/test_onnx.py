"""Every legal combination can be written as ONNX graphs, which give the model's log-probabilities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contract.combinations import Triple, legal_triples, legal_variations, one_of_each_kind, some_batch

from seq2seq.config.schema import EmbeddingSettings
from seq2seq.model.legality import problems
from seq2seq.model.model import Model
from seq2seq.types import Batch

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from seq2seq.format.onnx import OnnxFormat, write_graphs  # noqa: E402
from seq2seq.format.onnx_greedy import OnnxModel, run  # noqa: E402

TOLERANCE = 1e-4
# Lengths of sources and targets: other numbers of sentences and positions than those of the traced example.
BATCHES = [([6, 1, 4], [6, 3, 2]), ([1], [5]), ([2, 40], [4, 4])]
AFTER, BEFORE = (
    (("attend", attend), ("input_feeding", feeding)) for attend, feeding in (("after", True), ("before", False))
)
# Few combinations of many parts, for `make test`.
MIXED = [
    Triple("lstm", "local_m", "gru", AFTER, (("generator", "pointer"), ("normalizer", "entmax15"))),
    Triple("gru", "none", "gru", BEFORE),
    Triple("gru", "monotonic", "lstm", BEFORE, (("generator", "pointer"), ("position", "sinusoidal_2d"))),
    Triple(
        "transformer",
        "multihead",
        "transformer",
        (("norm", "deep"),),
        (("position", "rotary"), ("self_attention", "windowed"), ("feed_forward", "swiglu"), ("layer_norm", "rms")),
    ),
    Triple(
        "gru",
        "coverage",
        "transformer",
        (("distinct_layers", 1),),
        (("pooling", "strided"), ("position", "alibi"), ("self_attention", "grouped_query"), ("normalizer", "top_k")),
    ),
    Triple("transformer", "local_m", "ssru", (("distinct_layers", 1),), (("generator", "pointer"),)),
    Triple("lstm", "multihead", "average", (("average_feed_forward", True),), (("position", "rotary"),)),
]
# An export takes about eight seconds: one combination with each attention.
KINDS = one_of_each_kind([*legal_triples(), *legal_variations()])
EACH = [*{triple.attention: triple for triple in KINDS}.values(), Triple("lstm", "multihead", "ssru")]


@pytest.mark.parametrize("triple", [*MIXED, *(pytest.param(one, marks=pytest.mark.full) for one in EACH)], ids=str)
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
def test_graphs_give_the_log_probabilities_of_each_step(triple: Triple, tmp_path: Path) -> None:
    assert problems(triple.settings()) == []
    assert OnnxFormat.problems(triple.settings(), quantization="float32") == []
    check_graphs(triple.model().float(), tmp_path)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
def test_graphs_normalise_embeddings(tmp_path: Path) -> None:
    triple = Triple("gru", "multihead", "transformer", (), (("position", "learned"),))
    embedding = EmbeddingSettings(size=8, dropout=0.0, word_dropout=0.0, scale=False, norm=True)
    check_graphs(triple.model(embedding=embedding).float(), tmp_path)


def check_graphs(model: Model, tmp_path: Path) -> None:
    write_graphs(model, tmp_path)
    for name in ("encoder.onnx", "decoder_step.onnx"):
        onnx.checker.check_model(str(tmp_path / name), full_check=True)
    (tmp_path / "config.json").write_text("{}")
    graphs = OnnxModel(tmp_path, threads=1)
    for sources, targets in BATCHES:
        batch = some_batch(sources, targets)
        difference = np.abs(through_graphs(graphs, batch) - step_by_step(model, batch))
        assert difference.max() < TOLERANCE, (sources, difference.max((0, 2)))


@torch.no_grad()
def step_by_step(model: Model, batch: Batch) -> np.ndarray:
    """Our log-probabilities [B T V], with -inf (what a sparse pointer never copies) as a number."""
    state = model.start(model.encode(batch.source, batch.source_mask))
    steps = []
    for token in batch.target_in.split(1, 1):
        log_probs, _, state = model.step(token, state)
        steps.append(log_probs)
    return torch.cat(steps, 1).clamp(min=-1e4).numpy()


def through_graphs(graphs: OnnxModel, batch: Batch) -> np.ndarray:
    """The same by the graphs, from ids alone."""
    state = run(graphs.encoder, {"source": batch.source.numpy()})
    steps = []
    for position, token in enumerate(batch.target_in.numpy().T):
        new = run(graphs.step, {"token": token, "position": np.array(position), **state})
        steps.append(new.pop("log_probs"))
        state |= {name.removeprefix("next_"): tensor for name, tensor in new.items()}
    return np.stack(steps, 1).clip(min=-1e4)
