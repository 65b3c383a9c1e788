"""engine=ctranslate2 in evaluate and translate: the outputs and scores of ours, an export that is made once, and a line
for what it does not have."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs

from seq2seq.analysis.evaluation.evaluation import evaluate, result_name
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.write import mark_best
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import Decoding, TrainSettings, TranslateSettings
from seq2seq.engine.ctranslate2 import CTranslate2
from seq2seq.engine.ours import Ours
from seq2seq.errors import ConfigError, DataError
from seq2seq.format.ctranslate2 import CTranslate2Format
from seq2seq.inference.engine import changed_engine, engine_name, load_for
from seq2seq.inference.translation import translate
from seq2seq.training.run import train
from seq2seq.types import Part

pytest.importorskip("ctranslate2")
WORDS = ["encoder=transformer", "decoder=transformer", "attention=multihead", "encoder.hidden_size=12"]
SIZES = ["encoder.heads=2", "decoder.heads=2", "attention.heads=2", "encoder.inner_size=16", "decoder.inner_size=16"]
EXPORT = Path("runs/one/export/ctranslate2")


def engine(**arguments: Any) -> Part:
    return Part("ctranslate2", CTranslate2, arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def trained_once(folder: Path) -> TrainSettings:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = small_runs.settings("one", *WORDS, *SIZES, "trainer.max_updates=8", "data.source_prefix='de: '")
        train(settings)
        return settings


@pytest.fixture
def run(folder: Path, trained_once: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """A Transformer after a few updates; the tests work in its folder."""
    monkeypatch.chdir(folder)
    return trained_once


def test_evaluation_has_the_scores_of_ours_under_another_name(run: TrainSettings) -> None:
    found = {}
    for part in (None, Part("ours", Ours, {}), engine()):
        script = small_runs.evaluate_settings("one", engine=part)
        evaluate(script, run)
        found[result_name(script)] = json.loads(Path(f"runs/one/eval/{result_name(script)}.json").read_bytes())
    assert list(found) == ["test", "test-engine=ctranslate2"]
    ours, theirs = found.values()
    assert (ours["engine"], theirs["engine"]) == ("ours", "ctranslate2")
    assert (ours["changed"], theirs["changed"]) == ({}, {"engine": "ctranslate2"})
    assert (theirs["precision"], theirs["device"]) == ("fp32", "cpu")
    for key in ("bleu", "chrf", "outputs", "ended_at_limit", "checkpoint"):
        assert theirs[key] == ours[key]


def test_typed_arguments_name_the_results(run: TrainSettings) -> None:
    script = small_runs.evaluate_settings("one", engine=engine(compute_type="int8"), changed={"search": "greedy"})
    assert result_name(script) == "test-engine=ctranslate2-engine.compute_type=int8-search=greedy"
    assert changed_engine(small_runs.evaluate_settings("one", engine=engine(compute_type="auto"))) == {
        "engine": "ctranslate2"
    }
    assert engine_name(script) == "ctranslate2"


def translated(run: TrainSettings, part: Part | None, n_best: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    Path("texts").write_text("in 5 days\n\nMay 5\nJune 7, 2021\n")
    script = TranslateSettings(
        **{"run": "one", "checkpoint": "best", "changed": {}, "shortlist": None, "ensemble": [], "engine": part},
        **{"input": "texts", "output": None, "prefix": None, "n_best": n_best},
    )
    translate(script, run)
    return capsys.readouterr().out.split("\n")[:-1]


def test_translations_and_their_scores_are_those_of_ours(
    run: TrainSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    from seq2seq.search.beam import BeamSearch

    limits = {"max_length": 12, "max_length_ratio": 2.0}
    beam = replace(run, search=Part("beam", BeamSearch, {"beam_size": 3, "length_penalty": 0.5, **limits}))
    assert translated(run, engine(), 1, capsys) == translated(run, None, 1, capsys)
    ours, theirs = (translated(beam, part, 3, capsys) for part in (None, engine()))
    assert len(ours) == 3 * 3 + 1
    for one, other in zip(ours, theirs, strict=True):
        (number, *scores, text), (same_number, *same_scores, same_text) = one.split("\t"), other.split("\t")
        assert (same_number, same_text) == (number, text)
        assert list(map(float, same_scores)) == pytest.approx(list(map(float, scores)), abs=2e-4)


def loaded(run: TrainSettings, caplog: pytest.LogCaptureFixture, **script: Any) -> bool:
    """Load the run's model with this engine; whether it was exported."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        load_for(small_runs.evaluate_settings("one", **{"engine": engine(), **script}), run)
    return "exporting the weights for engine=ctranslate2" in caplog.text


def test_the_export_is_made_once_and_again_for_other_weights_or_a_damaged_file(
    run: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    loaded(run, caplog)
    assert not loaded(run, caplog)
    (EXPORT / "model.bin").write_bytes((EXPORT / "model.bin").read_bytes()[:-1] + b"?")
    assert loaded(run, caplog)
    assert "checked with 12 sentences of the run's valid data: equal outputs" in caplog.text
    (EXPORT / "shared_vocabulary.json").unlink()
    assert loaded(run, caplog)
    (EXPORT / "export.json").write_text("{")
    with pytest.raises(ConfigError, match="has files that are no export"):
        loaded(run, caplog)
    (EXPORT / "export.json").unlink()
    for path in sorted(EXPORT.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert loaded(run, caplog)
    folder = RunFolder.of("one")
    best = folder.best_checkpoint()
    assert best is not None
    other = next(step for step in folder.steps() if folder.checkpoint(step).name != best.name)
    try:
        mark_best(folder, other)
        assert loaded(run, caplog)
        assert not loaded(run, caplog)
    finally:
        mark_best(folder, int(best.name.removeprefix("step-")))
    assert loaded(run, caplog)
    assert loaded(run, caplog, checkpoint="last")
    assert not loaded(run, caplog)
    assert loaded(replace(run, precision="int8"), caplog)
    assert sorted(path.name for path in EXPORT.parent.iterdir()) == [
        *("ctranslate2", "ctranslate2-last", "ctranslate2-quantization=int8")
    ]


def test_without_the_data_the_export_is_not_checked(run: TrainSettings, caplog: pytest.LogCaptureFixture) -> None:
    class Missing:
        def check_split(self, split: str) -> None:
            raise DataError("it is gone")

    other = replace(run, data=Part("files", Missing, {}))
    assert loaded(replace(other, length=replace(run.length, max_source=2000)), caplog)
    assert "the export is not checked, because the run's data cannot be read" in caplog.text
    assert "ctranslate2-max_length=2001" in caplog.text


@pytest.mark.parametrize(
    ("precision", "compute_type", "name", "stored"),
    [("fp32", "auto", "fp32", "float32"), ("int8", "auto", "int8", "int8"), ("auto", "int8", "int8", "int8")],
)
def test_precision_or_compute_type_choose_the_weights(
    run: TrainSettings, precision: str, compute_type: str, name: str, stored: str
) -> None:
    script = small_runs.evaluate_settings("one", engine=engine(compute_type=compute_type))
    trained = load_for(script, replace(run, precision=precision))
    assert trained.runtime.precision == name
    manifest = json.loads((Path(trained.search_model.folder) / "export.json").read_bytes())
    assert manifest["arguments"]["quantization"] == stored


@pytest.mark.parametrize(
    ("changes", "part", "message"),
    [
        ({"precision": "bf16"}, engine(), "precision=bf16: ctranslate2 has no bfloat16 on this cpu: it can float32, "),
        ({}, engine(compute_type="float16"), "engine.compute_type=float16: ctranslate2 has no float16 on this cpu"),
        ({"device": "cuda:7"}, engine(), "device=cuda:7: ctranslate2 sees "),
    ],
)
def test_types_and_devices_that_are_not_there_are_named(
    run: TrainSettings, changes: dict[str, Any], part: Part, message: str
) -> None:
    import ctranslate2

    if changes.get("precision") == "bf16" and "bfloat16" in ctranslate2.get_supported_compute_types("cpu"):
        pytest.skip("this processor has bf16 instructions that CTranslate2 uses")
    with pytest.raises(ConfigError) as found:
        load_for(small_runs.evaluate_settings("one", engine=part), replace(run, **changes))
    assert str(found.value).startswith(message)


@pytest.mark.parametrize(
    ("script", "words", "lines"),
    [
        ({"shortlist": 30}, [], ["no shortlist=30: leave out shortlist, or engine=ours"]),
        ({"ensemble": ["two"]}, [], ["no ensemble=['two']: leave out ensemble, or engine=ours"]),
        ({}, ["data.target_prefix='x '"], ["no data.target_prefix='x ': type engine=ours"]),
        ({}, ["search=sampling"], ["no search=sampling: it can beam or greedy"]),
        ({}, ["search=minimum_risk"], ["no search=minimum_risk: it can beam or greedy"]),
        ({}, ["search=diverse_beam"], ["no search=diverse_beam: it can beam or greedy"]),
        (
            {},
            ["search.no_repeat_ngram=3", "search.min_length=2"],
            ["no search.no_repeat_ngram=3: it can 0", "no search.min_length=2: it can 1"],
        ),
        ({}, ["search=beam", "search.coverage_penalty=0.2"], ["no search.coverage_penalty=0.2: it can 0"]),
        (
            {"shortlist": 30},
            ["attention.heads=1"],
            [
                "one number of heads in a decoder, not decoder.heads=2 and attention.heads=1",
                "no shortlist=30: leave out shortlist, or engine=ours",
            ],
        ),
    ],
    ids=str,
)
def test_what_it_does_not_have_is_named_before_anything_is_read(
    script: dict[str, Any], words: list[str], lines: list[str]
) -> None:
    settings = small_runs.settings("nowhere", *WORDS, *SIZES, *words)
    with pytest.raises(Mistakes) as found:
        load_for(small_runs.evaluate_settings("nowhere", engine=engine(), **script), settings)
    assert found.value.lines == tuple(f"engine=ctranslate2 has {line}" for line in lines)


def test_a_recurrent_model_is_refused() -> None:
    settings = small_runs.settings("nowhere")
    with pytest.raises(Mistakes) as found:
        load_for(small_runs.evaluate_settings("nowhere", engine=engine()), settings)
    assert found.value.lines[:2] == (
        "engine=ctranslate2 has no encoder=lstm: it can transformer",
        "engine=ctranslate2 has no decoder=lstm: it can transformer",
    )


def test_prefixes_are_refused(run: TrainSettings) -> None:
    script: Decoding = TranslateSettings(
        **{"run": "one", "checkpoint": "best", "changed": {}, "shortlist": None, "ensemble": [], "engine": engine()},
        **{"input": "texts", "output": None, "prefix": "beginnings", "n_best": 1},
    )
    with pytest.raises(Mistakes, match="engine=ctranslate2 has no prefix=beginnings: leave out prefix"):
        load_for(script, run)


def test_missing_package_is_named(run: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CTranslate2Format, "packages", ("no-such-package",))
    with pytest.raises(ConfigError, match=r"pip install 'seq2seq\[ctranslate2\]'"):
        load_for(small_runs.evaluate_settings("one", engine=engine()), run)
