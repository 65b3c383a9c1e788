"""The attention penalty: a mean over layers, a sum over real positions, weighted by the objective."""

import pytest
import torch
from contract.combinations import Triple, some_batch

from seq2seq.objective.attention_terms import penalty_of
from seq2seq.objective.cross_entropy import CrossEntropy

BATCH = some_batch([5, 2], [4, 1])


@torch.no_grad()
def test_the_penalty_sums_real_positions_and_averages_layers() -> None:
    model = Triple("lstm", "coverage", "transformer").model()
    attended = model.decode(BATCH.target_in, model.encode(BATCH.source, BATCH.source_mask)).attended
    assert len(attended) == 2
    expected = 0.0
    for answer in attended:
        for row, length in enumerate([5, 2]):  # the end symbol counts
            expected += float(answer.penalty[row, :length].sum()) / len(attended)
    losses = CrossEntropy(label_smoothing=0.1, attention_penalty=1.0)(model, BATCH)
    assert float(losses.terms["attention_penalty"]) == pytest.approx(expected, abs=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_objective_weights_the_penalty(weight: float) -> None:
    model = Triple("lstm", "coverage", "lstm").model()
    plain = model.loss(BATCH, 0.1)
    decoded = model.decode(BATCH.target_in, model.encode(BATCH.source, BATCH.source_mask))
    penalty = penalty_of(decoded, BATCH.target_mask)
    assert penalty is not None
    losses = CrossEntropy(label_smoothing=0.1, attention_penalty=weight)(model, BATCH)
    assert float(losses.total) == pytest.approx(float(plain.loss) + weight * float(penalty), abs=1e-12)
    assert float(losses.nll) == pytest.approx(float(plain.nll), abs=1e-12)
    assert set(losses.terms) == ({"cross_entropy", "attention_penalty"} if weight else set())


@torch.no_grad()
def test_other_attentions_have_no_penalty() -> None:
    model = Triple("lstm", "bahdanau", "lstm").model()
    assert CrossEntropy(label_smoothing=0.0, attention_penalty=1.0)(model, BATCH).terms == {}
