"""A model whose targets have begun: in every search hypotheses and scores are those of what follows."""

from typing import Any

import numpy as np
import pytest
import torch
from contract.combinations import VOCAB, Triple, some_batch
from unit.model.test_ensemble import SEARCHES

from seq2seq.data.lexicon import Lexicon
from seq2seq.model.ensemble import Ensemble
from seq2seq.model.model import Model
from seq2seq.model.started import Started, started
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.forced import forced_log_probs
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.shortlists import Shortlists

pytestmark = pytest.mark.usefixtures("without_shape_checks")

CPU = torch.device("cpu")
HERE: dict[str, Any] = {"device": CPU, "tokens_per_batch": 30}
START = (7, 12, 9)
SOURCES = [[5, 6, 7], [8, 4], [], [7, 9, 5, 10, 6]]
BEFORE = (("attend", "before"), ("input_feeding", True))
TRIPLES = [
    Triple("transformer", "multihead", "transformer", (), (("position", "rotary"), ("self_attention", "windowed"))),
    Triple("lstm", "coverage", "gru", BEFORE, (("generator", "pointer"),)),
    Triple("gru", "multihead", "transformer", (), (("pooling", "strided"), ("position", "learned"))),
]


def found(model: Any, search: Search, **more: Any) -> list[list[Hypothesis]]:
    return decode(model, search, SOURCES, **HERE, **more)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_log_probabilities_are_those_of_what_follows(triple: Triple, search: str) -> None:
    model = triple.model()
    for source, hypotheses in zip(SOURCES, found(started(model, START), SEARCHES[search]), strict=True):
        assert source or hypotheses == [Hypothesis([], 0.0, 0.0)]
        targets = [one.tokens for one in hypotheses] if source else []
        expected = forced_log_probs(model, [source] * len(targets), targets, target_start=START, **HERE)
        assert [one.log_prob for one in hypotheses if source] == pytest.approx(expected, abs=1e-9)
        whole = forced_log_probs(model, [source] * len(targets), [[*START, *one] for one in targets], **HERE)
        assert all(one < other for one, other in zip(whole, expected, strict=True))


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_greedy_search_finds_what_follows_the_same_prefix(triple: Triple) -> None:
    model, short = triple.model(), {"max_length_ratio": 9.0}
    whole = found(model, GreedySearch(max_length=8 + len(START), **short), prefixes=[[*START]] * len(SOURCES))
    ours = found(started(model, START), GreedySearch(max_length=8, **short))
    assert [one.tokens for (one,) in ours] == [one.tokens[len(START) :] if s else [] for s, (one,) in
                                               zip(SOURCES, whole, strict=True)]  # fmt: skip


def test_an_own_prefix_follows_the_start() -> None:
    model, own = TRIPLES[0].model(), [[11], [], [4, 4], [13, 5]]
    for search in SEARCHES.values():
        for prefix, hypotheses in zip(own, found(started(model, START), search, prefixes=own), strict=True):
            assert all(one.tokens[: len(prefix)] == prefix for one in hypotheses)
    greedy = GreedySearch(max_length=20, max_length_ratio=0.0, min_length=9)
    together = found(model, greedy, prefixes=[[*START, *prefix] for prefix in own])
    apart = found(started(model, START), greedy, prefixes=own)
    for (one,), (other,) in zip(together[:2], apart[:2], strict=True):
        shared = min(len(one.tokens) - len(START), len(other.tokens))
        assert one.tokens[len(START) :][:shared] == other.tokens[:shared]


def test_the_length_that_a_beam_divides_by_counts_the_start() -> None:
    search = BeamSearch(beam_size=3, length_penalty=0.7, max_length=6, max_length_ratio=2.0)
    for source, hypotheses in zip(SOURCES, found(started(TRIPLES[0].model(), START), search), strict=True):
        for one in hypotheses if source else []:
            length = len(START) + len(one.tokens) + 1
            assert one.score == pytest.approx(one.log_prob / length**0.7, abs=1e-9)
            assert len(one.tokens) < 6, "limits are those of what follows"


@pytest.mark.parametrize("search", SEARCHES)
def test_a_shortlist_of_all_tokens_changes_nothing(search: str) -> None:
    model = started(TRIPLES[0].model(), START)
    everything = Lexicon(np.zeros((VOCAB, 1), np.int32), np.arange(VOCAB, dtype=np.int32))
    same = found(model, SEARCHES[search], shortlists=Shortlists(everything, 1, joint=False, device=CPU))
    for one, other in zip(same, found(model, SEARCHES[search]), strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-9)


def test_a_shortlist_has_the_tokens_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.search.shortlists.FREQUENT", 1)
    few = Lexicon(np.full((VOCAB, 1), 22, np.int32), np.arange(VOCAB - 1, -1, -1, dtype=np.int32))
    shortlists = Shortlists(few, 1, joint=False, device=CPU)
    for hypotheses in found(started(TRIPLES[0].model(), START), SEARCHES["beam"], shortlists=shortlists):
        for one in hypotheses:
            assert set(one.tokens) <= {1, 22, *START}


def test_an_ensemble_begins_like_its_members() -> None:
    models: list[Model] = [TRIPLES[0].model(), TRIPLES[1].model()]
    same, alone = Ensemble([models[1], models[1]]).eval(), started(models[1], START)
    for one, other in zip(found(started(same, START), SEARCHES["beam"]), found(alone, SEARCHES["beam"]), strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
    mixed = found(started(Ensemble(models).eval(), START), SEARCHES["greedy"])
    assert mixed != found(started(models[0], START), SEARCHES["greedy"])


def test_no_start_is_the_model_itself() -> None:
    model = TRIPLES[0].model()
    assert started(model, ()) is model and model.target_start == ()


@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_in_its_mode(training: bool) -> None:
    model = TRIPLES[0].model().train(training)
    wrapped = Started(model, START)
    found(wrapped, SEARCHES["greedy"])
    assert model.training is wrapped.training is training


def test_steps_after_a_start_are_those_of_whole_targets() -> None:
    model, batch = TRIPLES[0].model(), some_batch([6, 1, 4], [3, 5, 1])
    batch.target_in[:, 1:4] = torch.tensor(START)
    rows = (batch.target_in[:, :4] != 0).all(1)
    wrapped = started(model, START)
    with torch.no_grad():
        state = wrapped.start(wrapped.encode(batch.source, batch.source_mask))
        log_probs, _, _ = wrapped.step(batch.target_in[:, :1], state)
        assert (log_probs[:, 0] - model.log_probs(batch)[:, 3])[rows].abs().max() < 1e-9
