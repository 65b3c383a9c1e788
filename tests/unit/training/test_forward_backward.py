"""An update is the same however it is cut into micro-batches, including all random draws."""

from dataclasses import fields

import pytest
import torch
from contract.combinations import Triple, some_batch
from torch import Tensor

from seq2seq.layers.rnn import RecurrentLayer
from seq2seq.model.model import Model
from seq2seq.objective.base import Objective
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.objective.minimum_risk import MinimumRisk
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.training.forward_backward import ForwardBackward
from seq2seq.training.strategy import SingleProcess
from seq2seq.types import Batch

CPU = Runtime(torch.device("cpu"), torch.float32)
LIKELIHOOD = CrossEntropy(label_smoothing=0.1, attention_penalty=0.0)
RISK = MinimumRisk(
    samples=4, cross_entropy=0.0, label_smoothing=0.1, attention_penalty=0.0, max_length=6, max_length_ratio=2.0
)
FEEDING = (("attend", "before"), ("input_feeding", True))


def model(cell: str) -> Model:
    """Its encoder runs whole sequences, its decoder step by step; both drop recurrent weights."""
    made = Triple(cell, "bahdanau", cell, FEEDING).model().train()
    for layer in recurrent(made):
        layer.weight_dropout = 0.4
    return made


def recurrent(made: Model) -> list[RecurrentLayer]:
    return [module for module in made.modules() if isinstance(module, RecurrentLayer)]


def gradient(made: Model, objective: Objective, seed: int, *parts: list[int]) -> Tensor:
    """The gradient of an update that is cut into these rows."""
    passes, batch = (
        ForwardBackward(SingleProcess(made, World()), objective, CPU),
        some_batch([6, 1, 4, 3], [3, 5, 1, 2]),
    )
    made.zero_grad()
    passes.begin(seed, 1)
    for number, rows in enumerate(parts, start=1):
        part = Batch(*(getattr(batch, field.name)[rows] for field in fields(Batch)))
        passes(part, 1, 11, last=number == len(parts))
    return torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("objective", [LIKELIHOOD, RISK], ids=lambda objective: type(objective).__name__)
def test_micro_batches_change_nothing(objective: Objective, cell: str) -> None:
    made = model(cell)
    whole = gradient(made, objective, 1, [0, 1, 2, 3])
    assert (gradient(made, objective, 1, [3, 0], [2, 1]) - whole).abs().max() < 1e-9
    assert (gradient(model(cell), objective, 1, [2], [0, 1, 3]) - whole).abs().max() < 1e-9
    assert (gradient(made, objective, 2, [0, 1, 2, 3]) - whole).abs().max() > 1e-4


def test_each_layer_and_update_drops_other_weights_at_the_right_rate() -> None:
    made, kept = model("lstm"), []
    for seed in range(40):
        ForwardBackward(SingleProcess(made, World()), LIKELIHOOD, CPU).begin(seed, 1)
        kept.extend((layer.recurrent_weight() / layer.kernel.weight_hh_l0).detach() for layer in recurrent(made))
    assert len({tuple(each.flatten().tolist()) for each in kept}) == len(kept)
    every = torch.cat([each.flatten() for each in kept])
    assert every.mul(0.6).round(decimals=6).unique().tolist() == [0.0, 1.0]
    assert float(every.eq(0).double().mean()) == pytest.approx(0.4, abs=5 * (0.24 / len(every)) ** 0.5)


def test_nothing_is_dropped_in_evaluation() -> None:
    made = model("gru")
    ForwardBackward(SingleProcess(made, World()), LIKELIHOOD, CPU).begin(1, 1)
    for layer in recurrent(made.eval()):
        assert layer.recurrent_weight() is layer.kernel.weight_hh_l0
