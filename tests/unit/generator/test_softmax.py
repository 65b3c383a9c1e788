"""The softmax generator: probabilities, its loss, tied weights."""

import pytest
import torch

from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.layers.embedding import embedding_table
from seq2seq.types import Decoded


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_loss_is_that_of_the_probabilities(tied: bool, bias: bool) -> None:
    table = embedding_table(11, 4) if tied else None
    generator = SoftmaxGenerator(feature_dim=6, vocab_size=11, table=table, bias=bias).double()
    decoded = Decoded(torch.randn(2, 3, 6, dtype=torch.float64), torch.zeros(2, 3, 1), ())
    log_probs = generator.log_probs(decoded, None)
    assert (log_probs.exp().sum(-1) - 1).abs().max() < 1e-12
    targets = torch.randint(0, 11, (2, 3))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    loss, nll = generator.loss(decoded, None, targets, mask, 0.1)
    picked = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    expected = -0.9 * picked[mask].sum() - 0.1 * log_probs[mask].mean(-1).sum()
    assert nll.item() == pytest.approx(-picked[mask].sum().item())
    assert loss.item() == pytest.approx(expected.item())


def test_tied_weights_are_one_parameter() -> None:
    table = embedding_table(11, 6)
    generator = SoftmaxGenerator(feature_dim=6, vocab_size=11, table=table, bias=True)
    assert generator.output.weight is table.weight
    assert len({id(p) for module in (table, generator) for p in module.parameters()}) == 2
