"""Stored results of evaluations: their texts, hashes and names, and their use as baselines and in comparisons."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs

from seq2seq.analysis.comparison.comparison import compare_runs
from seq2seq.analysis.evaluation import evaluation
from seq2seq.analysis.evaluation.evaluation import evaluate, result_name
from seq2seq.analysis.evaluation.results import digest_texts, read_result, split_results, write_result
from seq2seq.config import CONFIGS, Script, compose, load_own, load_run, load_train
from seq2seq.config.command_line.check import check
from seq2seq.config.metric_choices import choices_that_measure
from seq2seq.config.schema import CompareSettings, EvaluateSettings, TrainSettings, TranslateSettings
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference.corpus_decoding import Decoding
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.inference.translation import translate
from seq2seq.search.base import Hypothesis
from seq2seq.training.run import train

TEXTS = ["one.\ntwo.", "", "a\u2028b\r", '"\\n"', "三"]
ENDS = {"source": "src", "target": "tgt"}
SEEDS = {"one": 1, "two": 2}
SCRIPT = Script("evaluate", EvaluateSettings, run=print)
TRANSLATE = Script("translate", TranslateSettings, run=print)
DEFAULTS = small_runs.evaluate_settings("one")


def test_hypotheses_are_read_back_unchanged(tmp_path: Path) -> None:
    path = write_result(tmp_path, "test", TEXTS, {"split": "test"})
    assert read_result(path).hypotheses() == TEXTS
    assert (tmp_path / "test.hyp.txt").read_bytes().decode().split("\n") == ["one. two.", "", "a b ", *TEXTS[3:], ""]
    (tmp_path / "test.hyp.jsonl").unlink()
    assert read_result(path).hypotheses() is None  # the line breaks are lost
    path = write_result(tmp_path, "test", TEXTS[3:], {"split": "test"})
    assert read_result(path).hypotheses() == TEXTS[3:]
    (tmp_path / "test.hyp.jsonl").unlink(missing_ok=True)
    assert read_result(path).hypotheses() == TEXTS[3:]
    (tmp_path / "test.hyp.txt").write_text("edited\n" * len(TEXTS[3:]))
    assert read_result(path).hypotheses() is None


def test_broken_results_are_refused_or_skipped(tmp_path: Path) -> None:
    for name, content in [("a", "{"), ("b", "[1]"), ("c", '{"changed": 7}')]:
        (tmp_path / f"{name}.json").write_text(content)
        with pytest.raises(CheckpointError, match=rf"{name}\.json is broken"):
            read_result(tmp_path / f"{name}.json")
    write_result(tmp_path, "test-last", TEXTS, {"split": "test", "changed": {"checkpoint": "last"}})
    write_result(tmp_path, "valid", TEXTS, {"split": "valid", "changed": {}})
    write_result(tmp_path, "test", TEXTS, {"split": "test", "changed": {}})
    assert [found.path.stem for found in split_results(tmp_path, "test")] == ["test", "test-last"]


def test_hash_of_texts_changes_with_each_text() -> None:
    sources, references = ["a", "b"], [("x",), ("y", "z")]
    others = [
        (["a", "c"], references),
        (sources, [("x",), ("y", "w")]),
        (sources, [("x", "y"), ("z",)]),
        (["b", "a"], references),
        (["a"], [("x",)]),
    ]
    assert len({digest_texts(*texts) for texts in [(sources, references), *others]}) == 1 + len(others)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over files, which differ in their seed."""
    made = tmp_path_factory.mktemp("results")
    for split in ("train", "valid", "test", "other"):
        lines = [f"{split} {number} " + " ".join("abc"[number % 3 :]) for number in range(24)]
        (made / f"{split}.src").write_text("".join(f"{line}\n" for line in lines))
        (made / f"{split}.tgt").write_text("".join(f"{line[::-1]}\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name in ("one", "two"):
            train(settings(name))
    return made


def settings(run: str) -> TrainSettings:
    files = [f"data.{split}.{side}={split}.{end}" for split in ("train", "valid", "test") for side, end in ENDS.items()]
    words = ["data=files", "tokenizer=char", f"seed={SEEDS[run]}", "trainer.max_updates=1", *files]
    kept = [word for word in small_runs.SMALL if not word.startswith(("data.", "tokenizer."))]
    return load_train(compose(CONFIGS, "train", [*kept, *words, f"run={run}"]))


def typed(run: str, *words: str) -> tuple[EvaluateSettings, TrainSettings]:
    """Settings as evaluate.py reads them from its command line."""
    fast = [] if any(word.startswith("bootstrap=") for word in words) else ["bootstrap=0"]
    return load_run(check(SCRIPT, [f"run={run}", *fast, *words])[1], EvaluateSettings)


@pytest.fixture
def outputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Fixed outputs of the runs, by name, so that nothing is decoded."""
    monkeypatch.chdir(folder)
    for result in folder.glob("runs/*/eval/*"):
        result.unlink()
    texts = {"one": [f"a\nb {number}." for number in range(24)], "two": [f"c\nd {number}." for number in range(24)]}

    def decoded(trained: TrainedModel, *_: Any) -> tuple[Decoding, float]:
        found = texts[trained.folder.name]
        return Decoding([Hypothesis([], 0.0, 0.0)] * len(found), found, {}), 1.0

    monkeypatch.setattr(evaluation, "_decode", decoded)
    return texts


def content(run: str, name: str = "test") -> dict[str, Any]:
    return json.loads(Path(f"runs/{run}/eval/{name}.json").read_text())


def test_a_baseline_is_scored_with_its_line_breaks(outputs: dict[str, list[str]]) -> None:
    words = ["metrics=summarization", "baselines=none"]
    evaluate(*typed("two", *words))
    evaluate(*typed("one", *words, "baseline=two"))
    name = "test-metrics=summarization"
    for score in ("rouge1", "rougeLsum"):
        assert content("one", name)["baseline"][score]["baseline"] == content("two", name)[score]["score"]


def test_equal_texts_have_a_p_value_of_1(outputs: dict[str, list[str]]) -> None:
    outputs["two"] = outputs["one"]
    evaluate(*typed("two"))
    evaluate(*typed("one", "baseline=two", "bootstrap=100"))
    assert {found["p_value"] for found in content("one")["baseline"].values() if isinstance(found, dict)} == {1.0}


def test_baseline_of_other_texts_is_refused_with_the_command_to_run(
    outputs: dict[str, list[str]],
) -> None:
    evaluate(*typed("two"))
    other = ["data.test.source=other.src", "data.test.target=other.tgt"]
    advice = f"run=two split=test {' '.join(other)}"
    with pytest.raises(CheckpointError, match=rf"evaluated on other texts than these.*: first run .* {advice}$"):
        evaluate(*typed("one", "baseline=two", *other))
    with pytest.raises(CheckpointError, match="evaluated on other texts"):  # the same sources, other references
        evaluate(*typed("one", "baseline=two", "data.test.target=other.tgt"))
    evaluate(*typed("two", *other))
    evaluate(*typed("one", "baseline=two", *other))
    evaluate(*typed("one", "baseline=two"))
    assert len(list(Path("runs/one/eval").glob("*.json"))) == len(list(Path("runs/two/eval").glob("*.json"))) == 2


def test_results_of_older_versions_are_refused_with_the_command_to_run(outputs: dict[str, list[str]]) -> None:
    folder = Path("runs/two/eval")
    with pytest.raises(CheckpointError, match=r"has no runs/two/eval/test.json: first run .*run=two split=test$"):
        evaluate(*typed("one", "baseline=two"))
    folder.mkdir(exist_ok=True)
    (folder / "test.json").write_text('{"bleu": {"score": 1.0}, "checkpoint": "step-1", "sentences": 24}')
    (folder / "test.hyp.txt").write_text("a\n" * 24)
    with pytest.raises(CheckpointError, match=r"does not record its texts .*: first run .*run=two split=test$"):
        evaluate(*typed("one", "baseline=two"))
    evaluate(*typed("two"))
    (folder / "test.hyp.jsonl").write_text("edited")
    with pytest.raises(CheckpointError, match=r"have changed since they were scored: first run "):
        evaluate(*typed("one", "baseline=two"))


def test_averages_of_other_numbers_of_checkpoints_have_their_own_files(outputs: dict[str, list[str]]) -> None:
    words = ["checkpoint=average", "trainer.average=2"]
    for changed in ([], words[:1], words, words[1:]):  # the last is not an average: the file of the first
        evaluate(*typed("one", *changed))
    names = {path.stem for path in Path("runs/one/eval").glob("*.json")}
    assert names == {"test", "test-average", "test-average-trainer.average=2"}


def test_other_metrics_do_not_change_the_default_result(outputs: dict[str, list[str]]) -> None:
    evaluate(*typed("one"))
    before = content("one")
    evaluate(*typed("one", "metrics=summarization"))
    evaluate(*typed("one", "metrics.bleu.tokenize=char"))
    assert content("one") == before
    names = {path.name.removesuffix(".json") for path in Path("runs/one/eval").glob("*.json")}
    assert names == {"test", "test-metrics=summarization", "test-metrics.bleu.tokenize=char"}
    assert "rouge1" in content("one", "test-metrics=summarization")


def test_comparison_finds_the_metric_or_reports_the_command_to_run(
    outputs: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_own(compose(CONFIGS, "compare", ["runs=[one,two]", "metric=rouge1", "device=cpu"]), CompareSettings)
    for run in ("one", "two"):
        evaluate(*typed(run, "bootstrap=40"))
    with pytest.raises(CheckpointError) as caught:
        compare_runs(script)
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("runs/one/eval/test.json has no score metric=rouge1; it has: bleu, chrf; ")
    assert lines[0].endswith(" run=one metrics=summarization")
    for run in ("one", "two"):
        evaluate(*typed(run, "metrics=summarization", "bootstrap=40"))
    compare_runs(script)
    assert "| rouge1 |" in capsys.readouterr().out
    name = "runs/two/eval/test-metrics=summarization.json"
    Path(name).write_text(json.dumps({**content("two", "test-metrics=summarization"), "texts": "of others"}))
    Path("runs/two/eval/test.json").write_text(json.dumps({**content("two"), "texts": "of others"}))
    with pytest.raises(ConfigError, match="one and two were evaluated on different sources or references"):
        compare_runs(script)


def test_outputs_that_reach_a_limit_are_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    words = ["search.min_length=11", "search.max_length_ratio=0.0"]  # every output reaches it
    evaluate(*typed("one", *words))
    ended = content("one", "test-search.max_length_ratio=0.0-search.min_length=11")["ended_at_limit"]
    assert ended == {"search.max_length": 0, "search.max_length_ratio": 24}
    line = "outputs ended at search.max_length_ratio=0.0 (times the source's tokens, plus 10)"
    assert f"24 of 24 {line}" in caplog.text
    given = ["run=one", "input=test.src", "output=out.txt", *words]
    translate(*load_run(check(TRANSLATE, given)[1], TranslateSettings))
    assert caplog.text.count(line) == 2


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("rougeLsum", ["summarization"]),
        ("ter", ["translation_ter"]),
        ("chrf", ["translation", "translation_ter"]),
        ("x", []),
    ],
)
def test_choices_that_measure_a_score(name: str, choices: list[str]) -> None:
    assert choices_that_measure(name, CONFIGS) == choices


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "test"),
        ({"checkpoint": "last", "changed": {"search": "greedy"}}, "test-last-search=greedy"),
        (
            {"changed": {"data.test.source": "b/a", "search.beam_size": 1}},
            "test-search.beam_size=1-data.test.source=a-",
        ),
        ({"ensemble": ["two", "x/three"]}, "test-ensemble=two+three-"),
        ({"split": "valid", "shortlist": 30, "changed": {"precision": "int8"}}, "valid-precision=int8-shortlist=30"),
    ],
)
def test_names_contain_the_changed_settings(given: dict[str, Any], name: str) -> None:
    found = result_name(replace(DEFAULTS, **given))
    assert found == name if not name.endswith("-") else found.startswith(name)
