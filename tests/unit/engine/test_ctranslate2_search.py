"""CTranslate2's searches have the outputs and the scores of ours."""

import logging
import re
from pathlib import Path

import pytest
import torch
from format_examples import JOINT, TEXTS, trained_transformer, transformer_settings

from seq2seq.config.schema import TrainSettings
from seq2seq.engine.ctranslate2_search import CTranslate2Model
from seq2seq.format.ctranslate2 import CTranslate2Format
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.types import BOS, EOS, PAD

ctranslate2 = pytest.importorskip("ctranslate2")
SOURCES = [*JOINT.source.encode(TEXTS[:20]), []]
SETTINGS = transformer_settings("position=rotary", "feed_forward=swiglu")


def exported(trained: TrainedModel, settings: TrainSettings, folder: Path, workers: int = 1) -> CTranslate2Model:
    CTranslate2Format().write(trained, settings, folder)
    return CTranslate2Model(folder, trained, torch.device("cpu"), "float32", workers)


def assert_same(trained: TrainedModel, other: CTranslate2Model, search: Search) -> list[list[Hypothesis]]:
    """Both find the same hypotheses in the same order, with the same scores; returns ours."""
    models = (trained.model, other)
    ours, theirs = (decode(m, search, SOURCES, device=torch.device("cpu"), tokens_per_batch=100) for m in models)
    for one, same in zip(ours, theirs, strict=True):
        assert [each.tokens for each in same] == [each.tokens for each in one]
        for name in ("log_prob", "score"):
            found, expected = ([getattr(each, name) for each in several] for several in (same, one))
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-4)
    return ours


def by_ours(caplog: pytest.LogCaptureFixture) -> int:
    """How many of the 20 sentences CTranslate2 has left to our search."""
    found = re.search(r"(\d+) of 20 sentences are searched by engine=ours", caplog.text)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, CTranslate2Model]:
    """A model that ends its outputs at various lengths, and its export."""
    trained = trained_transformer(SETTINGS)
    with torch.no_grad():
        trained.model.generator.output.bias[EOS] += 6
    return trained, exported(trained, SETTINGS, tmp_path_factory.mktemp("both"))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, -0.5])
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_beam_search(
    both: tuple[TrainedModel, CTranslate2Model], beam: int, alpha: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "seq2seq.engine")
    search = BeamSearch(beam_size=beam, length_penalty=alpha, max_length=60, max_length_ratio=5.0)
    ours = assert_same(*both, search)
    assert len({len(several[0].tokens) for several in ours}) > 3
    assert by_ours(caplog) <= 5


def test_greedy_search(both: tuple[TrainedModel, CTranslate2Model], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "seq2seq.engine")
    assert_same(*both, GreedySearch(max_length=60, max_length_ratio=5.0))
    assert by_ours(caplog) <= 5


@pytest.mark.parametrize(("max_length", "ratio"), [(1, 1.0), (2, 1.0), (4, 1.0), (12, 0.0), (30, 0.1)])
@pytest.mark.parametrize("beam", [0, 1, 4])
def test_the_end_is_forced_at_each_sentences_limit(
    both: tuple[TrainedModel, CTranslate2Model], beam: int, max_length: int, ratio: float
) -> None:
    search = (
        BeamSearch(beam_size=beam, length_penalty=0.8, max_length=max_length, max_length_ratio=ratio)
        if beam
        else GreedySearch(max_length=max_length, max_length_ratio=ratio)
    )
    ours = assert_same(*both, search)
    limits = search.limits(torch.tensor([len(ids) + 1 for ids in SOURCES])).tolist()
    assert sum(len(one[0].tokens) + 1 == limit for one, limit in zip(ours, limits, strict=True)) > 1


@pytest.mark.parametrize("beam", [1, 3])
def test_padding_and_begin_symbol_are_never_output(tmp_path: Path, beam: int) -> None:
    """Their biases make them likely here."""
    trained = trained_transformer(SETTINGS)
    with torch.no_grad():
        trained.model.generator.output.bias[[PAD, BOS]] = torch.tensor([3.0, 4.0])
    model = exported(trained, SETTINGS, tmp_path)
    free = model.translator.translate_batch([[model.source[i] for i in ids] for ids in SOURCES if ids], beam_size=1)
    assert any({model.target[PAD], model.target[BOS]} & set(one.hypotheses[0]) for one in free)
    search = BeamSearch(beam_size=beam, length_penalty=1.0, max_length=15, max_length_ratio=2.0)
    ours = assert_same(trained, model, search)
    assert not any({PAD, BOS} & set(one.tokens) for several in ours for one in several)


def test_parallel_batches_have_the_same_outputs(both: tuple[TrainedModel, CTranslate2Model], tmp_path: Path) -> None:
    trained, alone = both
    search = BeamSearch(beam_size=4, length_penalty=1.0, max_length=30, max_length_ratio=3.0)
    several = exported(trained, SETTINGS, tmp_path, workers=3)
    counted: list[int] = []
    full = [ids for ids in SOURCES if ids]
    found = several.decode(search, full, tokens_per_batch=90, on_batch=counted.append)
    expected = alone.decode(search, full, tokens_per_batch=1000)
    assert [[one.tokens for one in many] for many in found] == [[one.tokens for one in many] for many in expected]
    assert sum(counted) == len(full)
    assert len(counted) > 4


def test_other_searches_and_beginnings_are_errors(both: tuple[TrainedModel, CTranslate2Model]) -> None:
    """Callers check before; nothing is searched in another way than asked."""
    limits = {"max_length": 30, "max_length_ratio": 3.0}
    usual = {"device": torch.device("cpu"), "tokens_per_batch": 100}
    sampling = SamplingSearch(samples=2, temperature=1.0, top_k=None, top_p=None, seed=1, **limits)
    with pytest.raises(ValueError, match="engine=ctranslate2 has no search=SamplingSearch: it can beam or greedy"):
        decode(both[1], sampling, SOURCES, **usual)
    blocking = GreedySearch(no_repeat_ngram=3, **limits)
    with pytest.raises(ValueError, match=r"engine=ctranslate2 has no search\.no_repeat_ngram=3: it can 0"):
        decode(both[1], blocking, SOURCES, **usual)
    with pytest.raises(ValueError, match="takes neither prefixes nor shortlists"):
        decode(both[1], GreedySearch(**limits), SOURCES, prefixes=[[5]] * len(SOURCES), **usual)
    assert decode(both[1], GreedySearch(**limits), [], **usual) == []
