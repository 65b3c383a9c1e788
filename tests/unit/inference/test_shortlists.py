"""The key `shortlist`: its lexicon is learned once and kept with the run; results name it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import small_runs

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.config import CONFIGS, compose, load_run
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import EvaluateSettings, TrainSettings, TranslateSettings
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference import shortlists
from seq2seq.inference.shortlists import check_shortlist, open_shortlists
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.inference.translator import Translator
from seq2seq.training.run import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four updates."""
    made = tmp_path_factory.mktemp("shortlists")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        train(small_runs.settings("one", "trainer.max_updates=4"))
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TrainedModel, TrainSettings]:
    monkeypatch.chdir(folder)
    settings = small_runs.settings("one", "trainer.max_updates=4")
    return load_trained("one", settings, "last"), settings


def test_the_lexicon_is_learned_once_and_then_needs_no_data(
    run: tuple[TrainedModel, TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, settings = run
    assert open_shortlists(trained, settings, None) is None
    first = open_shortlists(trained, settings, 3)
    assert [path.name for path in trained.folder.path.glob("*lexicon*")] == ["lexicon.npz"]
    monkeypatch.setattr(shortlists, "prepare_split", None)
    again = open_shortlists(trained, settings, 3)
    assert first is not None
    assert again is not None
    assert first.translations.equal(again.translations)
    assert first.translations.shape == (trained.tokenizer.source.size, 3)


def test_the_lexicon_is_learned_from_the_runs_training_data(run: tuple[TrainedModel, TrainSettings]) -> None:
    trained, settings = run
    trained.folder.lexicon_file.unlink(missing_ok=True)
    first = open_shortlists(trained, settings, 3)
    trained.folder.lexicon_file.unlink()
    other = replace(settings, data=replace(settings.data, arguments={**settings.data.arguments, "train": 20}))
    again = open_shortlists(trained, other, 3)
    assert first is not None
    assert again is not None
    assert first.translations.equal(again.translations)


def test_a_shortlist_has_the_same_effect_in_a_batch_as_alone(run: tuple[TrainedModel, TrainSettings]) -> None:
    trained, settings = run
    lists = open_shortlists(trained, settings, 1)
    assert lists is not None
    texts = ["12 January", "a kilometre"]
    translator = Translator(trained, settings, shortlists=lists)
    found = translator.translate(texts)
    assert found != Translator(trained, settings).translate(texts)
    assert [one.text for one in found] == [translator.translate([text])[0].text for text in texts]


def test_evaluation_files_name_the_shortlist(run: tuple[TrainedModel, TrainSettings]) -> None:
    evaluate(small_runs.evaluate_settings("one", checkpoint="last", shortlist=5), run[1])
    found = json.loads(Path("runs/one/eval/test-last-shortlist=5.json").read_text())
    assert found["shortlist"] == 5
    assert Path("runs/one/eval/test-last-shortlist=5.hyp.txt").read_text().count("\n") == found["sentences"] == 12


def test_a_damaged_lexicon_is_reported(run: tuple[TrainedModel, TrainSettings]) -> None:
    trained, settings = run
    open_shortlists(trained, settings, 1)
    file = trained.folder.lexicon_file
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2] + b"?" + whole[len(whole) // 2 + 1 :]):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"runs/one/lexicon.npz is damaged \(.+\): delete it"):
            open_shortlists(trained, settings, 1)
    file.unlink()


@pytest.mark.parametrize(
    ("word", "instead"), [("unit=words", "unit=tokens"), ("types=[chrf,rougeL]", "types=[rougeL]")]
)
def test_a_shortlist_with_a_search_that_compares_texts_is_refused(word: str, instead: str) -> None:
    settings = small_runs.settings("one", "trainer.max_updates=4", "search=minimum_risk", f"search.{word}")
    line = f"search.{word} and shortlist=3 cannot be combined: leave shortlist out, or give search.{instead}"
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        check_shortlist(settings, 3)
    check_shortlist(settings, None)
    check_shortlist(small_runs.settings("one", "trainer.max_updates=4", "search=minimum_risk"), 3)


@pytest.mark.parametrize(("script", "kind"), [("evaluate", EvaluateSettings), ("translate", TranslateSettings)])
@pytest.mark.parametrize("count", [-1, 0, 101])
@pytest.mark.usefixtures("run")
def test_only_1_to_100_tokens_are_accepted(script: str, kind: type, count: int) -> None:
    with pytest.raises(Mistakes, match=rf"shortlist={count}: expected 1 to 100, or null for all tokens, got {count}"):
        load_run(compose(CONFIGS, script, ["run=one", f"shortlist={count}"]), kind)
