"""Ensembles of runs: the key, decoding, and the files of an evaluation."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import small_runs
import torch

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config import CONFIGS, compose, load_run
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import EvaluateSettings, TrainSettings, TranslateSettings
from seq2seq.errors import CheckpointError
from seq2seq.inference.trained_model import load_trained
from seq2seq.inference.translator import Translator
from seq2seq.model.ensemble import Ensemble
from seq2seq.training.run import train

RUNS = {
    "one": ["trainer.max_updates=4", "trainer.save_every=1"],
    "two": ["trainer.max_updates=4", "trainer.save_every=1", "seed=2", "encoder=gru"],
    "foreign": ["trainer.max_updates=1", "tokenizer.vocab_size=470"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ensembles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name, words in RUNS.items():
            train(small_runs.settings(name, *words))
    return made


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    monkeypatch.chdir(folder)
    return small_runs.settings("one", *RUNS["one"])


def test_the_order_of_an_ensembles_runs_does_not_matter(settings: TrainSettings) -> None:
    texts = ["12 January", "a kilometre", "the day after tomorrow"]
    first = load_trained("one", settings, "last", ["two"])
    second = load_trained("two", small_runs.settings("two", *RUNS["two"]), "last", ["one"])
    alone = load_trained("one", settings, "last")
    found = [[one.log_prob for one in Translator(each, settings).translate(texts)] for each in (first, second, alone)]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
    assert found[0] != pytest.approx(found[2], abs=1e-4)


@pytest.mark.usefixtures("settings")
def test_minimum_risk_search_ranks_the_samples_of_the_ensemble() -> None:
    words = ["search=minimum_risk", "search.samples=4", "search.beam_size=2", "search.max_length=12"]
    words += ["search.types=[chrf,bleu]", "checkpoint=last"]
    found = []
    for run, other in (("one", ["two"]), ("two", ["one"]), ("one", [])):
        _, own = load_run(compose(CONFIGS, "translate", [f"run={run}", *words]), TranslateSettings)
        trained = load_trained(run, own, "last", other)
        (ranked,) = Translator(trained, own).translate(["the day after tomorrow"], n_best=6)
        found.append([(one.text, round(one.score, 6)) for one in ranked.candidates])
        assert len(ranked.candidates) > 2
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_every_run_of_an_ensemble_is_averaged_over_the_same_number_of_checkpoints(settings: TrainSettings) -> None:
    given = replace(settings, trainer=replace(settings.trainer, average=2))
    together = load_trained("one", given, "average", ["two"]).search_model
    assert isinstance(together, Ensemble)
    for name, model in zip(("one", "two"), together.models, strict=True):
        mean = load(RunFolder.of(name), "average", ["model"], average=2).model
        assert all(torch.equal(tensor, mean[key]) for key, tensor in model_tensors(model).items())


def test_evaluation_files_name_the_ensemble(settings: TrainSettings) -> None:
    evaluate(small_runs.evaluate_settings("one", checkpoint="last", ensemble=["two"]), settings)
    found = json.loads(Path("runs/one/eval/test-last-ensemble=two.json").read_text())
    assert found["ensemble"] == {"two": "step-4"}
    assert Path("runs/one/eval/test-last-ensemble=two.hyp.txt").read_text().count("\n") == found["sentences"]


def test_the_result_of_a_long_command_has_a_short_file_name(settings: TrainSettings) -> None:
    """The settings recommended for summaries: all keys but one differ from the run's."""
    words = ["search=minimum_risk", "search.samples=2", "search.max_length=9", "search.no_repeat_ngram=3"]
    words += ["search.unit=stems", "search.types=[rouge1,rougeL]", "precision=bf16", "checkpoint=last", "bootstrap=0"]
    script, own = load_run(compose(CONFIGS, "evaluate", ["run=one", "ensemble=[two]", *words]), EvaluateSettings)
    evaluate(script, own)
    (file,) = Path("runs/one/eval").glob(
        "test-last-ensemble=two-precision=bf16-search=minimum_risk-max_length=9-*.json"
    )
    assert len(file.name) <= 105
    assert json.loads(file.read_text())["search"]["samples"] == 2


def test_decoding_leaves_the_models_in_eval_mode(settings: TrainSettings) -> None:
    trained = load_trained("one", settings, "last", ["two"])
    Translator(trained, settings).translate(["12 January"])
    assert not any(part.training for part in trained.search_model.modules())


def test_a_different_vocabulary_or_prefix_is_refused(settings: TrainSettings) -> None:
    with pytest.raises(CheckpointError, match="ensemble=foreign has another vocabulary than run=one"):
        load_trained("one", settings, "last", ["two", "foreign"])
    with pytest.raises(CheckpointError, match=r"ensemble=three: there is no runs/three/config\.yaml"):
        load_trained("one", settings, "last", ["three"])
    arguments = {**settings.data.arguments, "source_prefix": "to French: "}
    prefixed = replace(settings, data=replace(settings.data, arguments=arguments))
    with pytest.raises(CheckpointError, match=r"ensemble=two has data\.source_prefix='', run=one has 'to French: '"):
        load_trained("one", prefixed, "last", ["two"])


@pytest.mark.parametrize(("script", "kind"), [("evaluate", EvaluateSettings), ("translate", TranslateSettings)])
@pytest.mark.usefixtures("settings")
def test_the_key_is_a_list_of_different_runs(script: str, kind: type) -> None:
    own, _ = load_run(compose(CONFIGS, script, ["run=one", "ensemble=[two]"]), kind)
    assert own.ensemble == ["two"]
    for others in ("one", "two,./runs/two"):
        with pytest.raises(Mistakes, match=r"ensemble=\[.*\]: each run may be given once"):
            load_run(compose(CONFIGS, script, ["run=one", f"ensemble=[{others}]"]), kind)
    with pytest.raises(Mistakes, match="ensemble=two: expected a list"):
        load_run(compose(CONFIGS, script, ["run=one", "ensemble=two"]), kind)
