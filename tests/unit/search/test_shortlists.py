"""Search with shortlists: no other tokens are generated, and no sentence depends on its batch."""

from typing import Any

import numpy as np
import pytest
import torch
from contract.combinations import VOCAB, Triple

from seq2seq.data.lexicon import NOTHING, Lexicon
from seq2seq.search import shortlists as module
from seq2seq.search.base import Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.diverse_beam import DiverseBeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.minimum_risk import MinimumRiskSearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.search.shortlists import Shortlists
from seq2seq.types import EOS, PAD

# Other tests check the shapes; these decode many steps.
pytestmark = pytest.mark.usefixtures("without_shape_checks")

CPU = torch.device("cpu")
SOURCES = [[5, 6, 7], [8, 4], [], [7, 9, 5, 10, 6]]
LIMITS: dict[str, Any] = {"max_length": 7, "max_length_ratio": 1.0}
DRAWS: dict[str, Any] = {"temperature": 1.0, "top_k": None, "top_p": None, "seed": 1}
SEARCHES: dict[str, Search] = {
    "greedy": GreedySearch(**LIMITS),
    "greedy without scores": GreedySearch(**LIMITS).without_scores(),
    "beam": BeamSearch(beam_size=3, length_penalty=1.0, no_repeat_ngram=2, **LIMITS),
    "diverse_beam": DiverseBeamSearch(beam_size=4, groups=2, diversity=0.5, length_penalty=1.0, **LIMITS),
    "sampling": SamplingSearch(samples=3, **DRAWS, **LIMITS),
    "minimum_risk": MinimumRiskSearch(samples=4, beam_size=2, length_penalty=1.0, candidates="all", **DRAWS, **LIMITS),
}


@pytest.fixture(autouse=True)
def two_frequent_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREQUENT", 2)


def lexicon() -> Lexicon:
    """Three random translations per token; the highest ids are the most frequent."""
    random = np.random.default_rng(0)
    rows = [random.permutation(np.arange(EOS + 1, VOCAB))[:3] for _ in range(VOCAB)]
    return Lexicon(np.array(rows, np.int32), np.arange(VOCAB - 1, -1, -1, dtype=np.int32))


def shortlists(count: int = 2, *, joint: bool = False) -> Shortlists:
    return Shortlists(lexicon(), count, joint=joint, device=CPU)


def expected(source: list[int], count: int) -> set[int]:
    rows = lexicon().translations[[NOTHING, *source], :count]
    return {*range(EOS + 1), VOCAB - 1, VOCAB - 2, *rows.flatten().tolist()}


def found(search: Search, sources: list[list[int]], lists: Shortlists | None, **more: Any) -> list[list[Any]]:
    model = Triple("transformer", "multihead", "transformer").model()
    return decode(model, search, sources, device=CPU, tokens_per_batch=64, shortlists=lists, **more)


@pytest.mark.parametrize("joint", [True, False])
def test_a_shortlist_is_its_sentences_translations_and_frequent_tokens(joint: bool) -> None:
    padded = torch.tensor([[5, 6, 7, EOS], [8, EOS, PAD, PAD]])
    shortlist = shortlists(joint=joint).of(padded)
    for row, source in enumerate([[5, 6, 7, EOS], [8, EOS]]):
        own = set(source) if joint else set()
        assert set(shortlist.ids[shortlist.own[row]].tolist()) == expected(source, 2) | own


@pytest.mark.parametrize("name", SEARCHES)
def test_no_other_tokens_are_generated(name: str) -> None:
    for source, hypotheses in zip(SOURCES, found(SEARCHES[name], SOURCES, shortlists(1)), strict=True):
        for one in hypotheses:
            assert set(one.tokens) <= expected([*source, EOS], 1)


# Draws depend on the sentence's number.
@pytest.mark.parametrize("name", sorted(SEARCHES.keys() - {"sampling", "minimum_risk"}))
def test_no_sentence_depends_on_its_batch(name: str) -> None:
    together = found(SEARCHES[name], SOURCES, shortlists())
    for source, hypotheses in zip(SOURCES, together, strict=True):
        (alone,) = found(SEARCHES[name], [source], shortlists())
        assert [one.tokens for one in alone] == [one.tokens for one in hypotheses]
        assert [one.score for one in alone] == pytest.approx([one.score for one in hypotheses], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_shortlist_of_all_tokens_changes_nothing(name: str) -> None:
    rows = np.tile(np.arange(VOCAB, dtype=np.int32), (VOCAB, 1))
    everything = Shortlists(Lexicon(rows, rows[0]), VOCAB, joint=False, device=CPU)
    listed, plain = (found(SEARCHES[name], SOURCES, lists) for lists in (everything, None))
    assert [[one.tokens for one in each] for each in listed] == [[one.tokens for one in each] for each in plain]


def test_a_prefix_may_have_tokens_outside_the_shortlist() -> None:
    sources = [source for source in SOURCES if source]
    foreign = [min(set(range(EOS + 1, VOCAB)) - expected([*source, EOS], 2)) for source in sources]
    answers = found(SEARCHES["beam"], sources, shortlists(), prefixes=[[token, EOS + 1] for token in foreign])
    for token, hypotheses in zip(foreign, answers, strict=True):
        assert all(one.tokens[:2] == [token, EOS + 1] for one in hypotheses)
