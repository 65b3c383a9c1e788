"""The coverage penalty equals equation 14, with the weights of forced decoding, and changes no log-probability."""

import pytest
import torch
from contract.combinations import Triple, some_batch

from seq2seq.model.model import Model
from seq2seq.search.base import Hypothesis
from seq2seq.search.beam import MIN_COVERAGE, BeamSearch
from seq2seq.types import BOS, Weights

TRIPLES = [
    Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True))),
    Triple("gru", "luong_general", "lstm", (("attend", "after"),), (("normalizer", "sparsemax"),)),
    Triple("lstm", "coverage", "gru", (), (("pooling", "strided"),)),
    Triple("transformer", "multihead", "transformer"),
]
BOUNDS = {"length_penalty": 0.6, "max_length": 9, "max_length_ratio": 1.0}


def covered(model: Model, source: torch.Tensor, hypothesis: Hypothesis) -> float:
    """sum over s of log(min(sum over t of the weights, 1)), over the unmasked memory, with the sentence alone and its
    target given."""
    memory = model.encode(source, torch.ones_like(source, dtype=torch.bool))
    weights = model.decode(torch.tensor([[BOS, *hypothesis.tokens]]), memory, Weights.LAST).weights
    return float(weights[0].sum(0)[memory.mask[0]].clamp(MIN_COVERAGE, 1.0).log().sum())


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
@torch.no_grad()
def test_hypotheses_are_ranked_by_their_coverage(triple: Triple) -> None:
    """With caches, ancestry, padding and sentences that finish earlier."""
    model, batch = triple.model(), some_batch([6, 1, 4], [1, 1, 1])
    search = BeamSearch(beam_size=3, coverage_penalty=0.3, **BOUNDS)
    for row, best in enumerate(search(model, batch.source, batch.source_mask)):
        assert len(best) == 3
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
        for one in best:
            source = batch.source[row : row + 1, : int(batch.lengths[row])]
            expected = one.log_prob / (len(one.tokens) + 1) ** 0.6 + 0.3 * covered(model, source, one)
            assert one.score == pytest.approx(expected, abs=1e-9)


@torch.no_grad()
def test_the_penalty_reorders_hypotheses_and_changes_no_log_prob() -> None:
    """The beam is wide enough for every likely target."""
    model, batch = TRIPLES[0].model(), some_batch([6], [1])
    model.generator.output.bias[8:] = -1e4
    bounds = BOUNDS | {"max_length": 3}
    plain, covering = (
        BeamSearch(beam_size=40, coverage_penalty=beta, **bounds)(model, batch.source, batch.source_mask)[0]
        for beta in (0.0, 5.0)
    )
    likely, reordered = (
        {tuple(one.tokens): one.log_prob for one in found if one.log_prob > -30} for found in (plain, covering)
    )
    assert len(likely) == 1 + 5 + 25
    assert reordered == pytest.approx(likely, abs=1e-12)
    assert list(likely) != list(reordered)


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match=r"search.coverage_penalty: expected 0 \(off\) or more, got -0.1"):
        BeamSearch(beam_size=3, coverage_penalty=-0.1, **BOUNDS)
