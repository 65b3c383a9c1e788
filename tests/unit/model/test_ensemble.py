"""Ensembles: the mean of the models' probabilities, for models of different kinds and in every search."""

from dataclasses import replace

import pytest
import torch
from contract.combinations import VOCAB, Triple, rows_of, some_batch

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.ensemble import Ensemble
from seq2seq.model.model import Model
from seq2seq.search.base import Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.diverse_beam import DiverseBeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.minimum_risk import MinimumRiskSearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.search.shortlists import Shortlisted
from seq2seq.types import BOS, EOS, Batch

# Other tests check the shapes; these decode many steps.
pytestmark = pytest.mark.usefixtures("without_shape_checks")

SOURCES, TARGETS = [6, 1, 4], [3, 5, 0]
LIMITS = {"max_length": 7, "max_length_ratio": 1.0}
DRAWN = {"samples": 3, "temperature": 1.0, "top_k": None, "top_p": None, "seed": 1}
CLOSE = {"atol": 1e-12, "rtol": 1e-9}
SEARCHES = {
    "greedy": GreedySearch(**LIMITS),
    "beam": BeamSearch(beam_size=3, length_penalty=0.6, coverage_penalty=0.2, **LIMITS),
    "diverse": DiverseBeamSearch(
        beam_size=4, groups=2, diversity=0.5, length_penalty=0.6, coverage_penalty=0.0, **LIMITS
    ),
    "sampling": SamplingSearch(**DRAWN, **LIMITS),
    "minimum_risk": MinimumRiskSearch(**DRAWN, beam_size=2, length_penalty=1.0, candidates="all", **LIMITS),
}


def members() -> list[Model]:
    """Models of three kinds; one of them copies, one pools its memory."""
    recurrent = (("attend", "before"), ("input_feeding", True))
    return [
        Triple("transformer", "multihead", "transformer").model(),
        Triple("lstm", "bahdanau", "lstm", recurrent, (("generator", "pointer"),)).model(),
        Triple("gru", "luong_dot", "gru", recurrent, (("pooling", "strided"),)).model(),
    ]


def mean_log_probs(models: list[Model], batch: Batch) -> torch.Tensor:
    return torch.stack([model.log_probs(batch).exp() for model in models]).mean(0).log()


@torch.no_grad()
def test_each_step_gives_the_mean_of_all_probabilities() -> None:
    models, batch = members(), some_batch(SOURCES, TARGETS)
    ensemble = Ensemble(models)
    state = ensemble.start(ensemble.encode(batch.source, batch.source_mask))
    expected = mean_log_probs(models, batch)
    for t in range(batch.target_in.shape[1]):
        log_probs, weights, state = ensemble.step(batch.target_in[:, t : t + 1], state, t > 0)
        torch.testing.assert_close(log_probs[:, 0], expected[:, t], **CLOSE)
        assert (weights is None) == (t == 0)
        if weights is not None:
            assert weights.shape == (len(SOURCES), 1, batch.source.shape[1])


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())
@torch.no_grad()
def test_found_hypotheses_have_the_mean_probability(search: Search) -> None:
    models, batch = members(), some_batch(SOURCES, TARGETS)
    for row, hypotheses in enumerate(search(Ensemble(models), batch.source, batch.source_mask)):
        one = rows_of(batch, [row], trim=True)
        for found in hypotheses:
            target_in, target_out = torch.tensor([[BOS, *found.tokens]]), torch.tensor([[*found.tokens, EOS]])
            real = torch.ones_like(target_in).bool()
            given = replace(one, target_in=target_in, target_out=target_out, target_mask=real)
            picked = mean_log_probs(models, given).gather(-1, target_out.unsqueeze(-1)).sum()
            assert found.log_prob == pytest.approx(float(picked), abs=1e-9)


@torch.no_grad()
def test_one_model_several_times_equals_that_model() -> None:
    model, batch = members()[0], some_batch(SOURCES, TARGETS)
    search = SEARCHES["beam"]
    alone = search(model, batch.source, batch.source_mask)
    thrice = search(Ensemble([model] * 3), batch.source, batch.source_mask)
    assert [[one.tokens for one in found] for found in thrice] == [[one.tokens for one in found] for found in alone]


@torch.no_grad()
def test_with_a_shortlist_it_gives_the_mean_over_the_shortlist() -> None:
    models, batch = members(), some_batch(SOURCES, TARGETS)
    allowed = torch.rand(len(SOURCES), VOCAB, generator=torch.Generator().manual_seed(1)) < 0.5
    allowed[:, :4] = True
    shortlist = Shortlist.of(allowed.scatter(1, batch.source, True))
    columns = torch.full((len(SOURCES), 1), BOS)
    found = []
    for model in (*models, Ensemble(models)):
        listed = Shortlisted(model, shortlist)
        log_probs, _, state = listed.step(columns, listed.start(listed.encode(batch.source, batch.source_mask)))
        found.append(torch.cat((log_probs, listed.step(columns + 2, state)[0]), 1).exp())
    assert (found[-1] == 0).any()
    torch.testing.assert_close(found[-1], torch.stack(found[:-1]).mean(0), **CLOSE)
