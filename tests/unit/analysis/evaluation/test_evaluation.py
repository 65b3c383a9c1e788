"""A whole evaluation of summaries: scores, baselines and text statistics, on stdout and in the file."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from small_runs import evaluate_settings, settings

from seq2seq.analysis.evaluation.evaluation import evaluate_command, keep_and_show
from seq2seq.errors import ClosedPipe, StorageError
from seq2seq.metrics.extracts import extract
from seq2seq.metrics.rouge import Rouge
from seq2seq.training.run import train

WORDS = ["tea", "rain", "town", "door", "Tom", "Ann", "walks", "sees", "in", "the", "7", "12"]


def document(random: Random) -> dict[str, Any]:
    """A text of four lines, and two references: its second line, and random words."""
    lines = [" ".join(random.choices(WORDS, k=5)) + "." for _ in range(4)]
    other = " ".join(random.choices(WORDS, k=4))
    return {"text": "\n".join(lines), "summary": lines[1], "other": other}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """The JSON, what was printed, and the test set."""
    folder = tmp_path_factory.mktemp("summaries")
    rows = {split: [document(Random(f"{split}{i}")) for i in range(40)] for split in ("train", "valid", "test")}
    for split, documents in rows.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    words = ["data=table", "data.format=jsonl", "data.source=text", "data.target=summary", "metrics=summarization"]
    words += ["data.references=[summary,other]", "trainer.best_metric=valid/rougeL", "length.max_source=40"]
    words += [f"data.{split}={folder}/{split}.jsonl" for split in rows]
    words += ["tokenizer.vocab_size=290", "length.overlong=truncate", "trainer.max_updates=4"]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        printed: list[str] = []
        run = settings("s", *words)
        train(run)
        patched.setattr("builtins.print", lambda *text: printed.append(" ".join(text)))
        evaluate_command(evaluate_settings("s", baselines="auto", bootstrap=40), run)
    return json.loads((folder / "runs/s/eval/test.json").read_text()), "\n".join(printed), rows["test"]


def test_the_baselines_are_in_the_file_and_in_the_table(
    evaluated: tuple[dict[str, Any], str, list[dict[str, Any]]],
) -> None:
    found, printed, rows = evaluated
    assert list(found["baselines"]) == ["lead-1", "lead-3", "random-3"]
    metric = Rouge(types=["rougeL"], tokenizer="english", stemmer=True, references="max", sentences="punctuation")
    lead = extract("lead-3", [row["text"] for row in rows])
    (expected,) = metric.score(lead, [(row["summary"], row["other"]) for row in rows]).values()
    shown = found["baselines"]["lead-3"]["rougeL"]
    assert shown["score"] == expected.value
    assert shown["signature"] == expected.signature == found["rougeL"]["signature"]
    assert shown["difference"] == pytest.approx(found["rougeL"]["score"] - shown["score"])
    assert {"low", "high", "precision", "precision_low", "recall_high", "max", "mean", "p_value"} <= set(shown)
    assert f"{shown['score']:.2f}" in printed
    assert f"{shown['difference']:+.2f}, p = " in printed
    assert expected.signature in printed


def test_the_statistics_are_in_the_file_and_in_the_table(
    evaluated: tuple[dict[str, Any], str, list[dict[str, Any]]],
) -> None:
    found, printed, _ = evaluated
    statistics = found["statistics"]
    assert set(statistics) == {"output", "references", "truncated"}
    assert set(statistics["output"]) == set(statistics["references"])
    assert statistics["references"]["novel_1grams"] < 0.5
    assert 0 < statistics["truncated"]["source"] <= 1
    assert f"truncated: {statistics['truncated']['source']:.1%} of the sources" in printed
    assert "novel 4-grams" in printed
    assert max(map(len, printed.split("\n"))) <= 120


def test_closed_stdout_loses_no_file_and_full_disk_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full() -> Path:
        raise StorageError("cannot write eval/test.json: No space left on device")

    with pytest.raises(StorageError):
        keep_and_show(full, "BLEU 39.0")
    assert capsys.readouterr().out == "BLEU 39.0\n"

    def gone(_: str) -> None:
        raise ClosedPipe

    def keep() -> Path:
        (tmp_path / "test.json").write_text("{}")
        return tmp_path / "test.json"

    monkeypatch.setattr(sys.stdout, "write", gone)
    with pytest.raises(ClosedPipe):
        keep_and_show(keep, "BLEU 39.0")
    assert (tmp_path / "test.json").exists()
