"""A micro-batch padded to a larger shape has the same loss and gradients, with padding masked or removed."""

import pytest
import torch
from contract.combinations import Triple, further_choices, some_batch
from torch import Tensor

from seq2seq.data.shapes import Shape, padded
from seq2seq.layers import unpad
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.types import Batch

FEEDING = (("attend", "before"), ("input_feeding", True))
TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("lstm", "bahdanau", "lstm", FEEDING),
    Triple("gru", "luong_general", "gru", (("attend", "after"), ("input_feeding", False))),
    Triple("lstm", "coverage", "lstm", FEEDING, (("generator", "pointer"),)),
    Triple("transformer", "multihead", "transformer", (), (("generator", "pointer"),)),
    Triple("gru", "local_p", "lstm", FEEDING),
    Triple("gru", "none", "gru", (("attend", "after"), ("input_feeding", False))),
    Triple("transformer", "multihead", "ssru"),
    Triple("lstm", "coverage", "average"),
]


def sums(triple: Triple, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective and its NLL, and the gradients of all parameters."""
    model = triple.model()
    losses = CrossEntropy(label_smoothing=0.1, attention_penalty=0.5)(model, batch)
    losses.total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return torch.stack((losses.total, losses.nll)).detach(), gradients


@pytest.mark.parametrize("triple", [*TRIPLES, *further_choices()], ids=str)
def test_padding_columns_and_blank_rows_change_nothing(triple: Triple, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = some_batch([6, 1, 4], [3, 5, 0])
    expected, gradients = sums(triple, batch)
    monkeypatch.setattr(unpad, "selects", lambda mask: False)  # as on a GPU
    found, others = sums(triple, padded(batch, Shape(5, 9, 8)))
    assert (found - expected).abs().max() < 1e-9
    assert others.keys() == gradients.keys()
    assert all((others[name] - gradient).abs().max() < 1e-9 for name, gradient in gradients.items())
