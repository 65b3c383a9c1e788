"""Our side of the benchmarks at tiny sizes, with real training, decoding, data and start-up."""

import json
from pathlib import Path
from typing import Any

import pytest

WORDS = "data.train=300 data.valid=12 data.test=12 tokenizer.vocab_size=600 trainer.tokens_per_update=500"
WORDS += " search=greedy search.max_length=8 trainer.probes=0"  # for the validation during training
TINY = ["--data", "cldr", "--words", WORDS, "--width", "16", "--threads", "1"]
ALONE = ["--peers", "none", "--precisions", "fp32", "--device", "cpu"]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_benchmarks(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One folder for all tests of this file, so that they share its cache."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    folder = tmp_path_factory.getbasetemp() / "benchmarks"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)


def run(module: Any, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What the benchmark writes as JSON."""
    monkeypatch.setattr("sys.argv", [module.__name__, *TINY, *words, "--json", "out.json"])
    module.main()
    return json.loads(Path("out.json").read_text())


def test_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import training

    turns = ["--rounds", "2", "--seconds", "0.01", "--warm-up", "0.01", "--log-every", "3"]
    measured = run(training, monkeypatch, *ALONE, "--models", "transformer", *turns)
    [figures] = measured["figures"]
    assert [turn["updates"] for turn in figures["turns"]] == [3, 3]
    # The tokens of an update are those that the trainer plans.
    tokens = [turn["target_tokens"] for turn in figures["turns"]]
    assert all(3 * 350 < count < 3 * 650 for count in tokens)
    assert 0 <= figures["padding"] < 0.3
    output = capsys.readouterr().out
    assert "\n## transformer\n" in output
    assert "\n| ours, transformer, fp32 | " in output


def test_several_processes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import processes

    turns = ["--rounds", "2", "--seconds", "0.01", "--warm-up", "0.01", "--log-every", "3"]
    measured = run(processes, monkeypatch, *ALONE, *turns)
    one, two, ratio = measured["figures"]
    assert (one["model"], two["model"]) == ("transformer", "transformer in 2 processes")
    assert [turn["updates"] for turn in two["turns"]] == [3, 3]
    # The same updates for any number of processes.
    assert [turn["target_tokens"] for turn in one["turns"]] == [turn["target_tokens"] for turn in two["turns"]]
    assert ratio["times_one_process"] > 0
    assert "\nours, transformer in 2 processes, fp32: " in capsys.readouterr().out


def test_decoding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import decoding

    measured = run(decoding, monkeypatch, *ALONE, "--rounds", "1", "--updates", "2")
    assert [figures["beam"] for figures in measured["figures"]] == [1, 1, 5, 5]
    for figures in measured["figures"]:
        [turn] = figures["turns"]
        assert turn["sentences"] == 12
        assert turn["target_tokens"] >= 12
        assert "hypotheses" not in turn
        assert 0 <= figures["same_text_as_first"] <= 1
    assert [figures["same_text_as_first"] for figures in measured["figures"][::2]] == [1, 1]
    output = capsys.readouterr().out
    assert output.count("\n| ours, transformer, fp32 | ") == 2
    assert output.count("\n| ours, transformer, fp32, shortlist=30 | ours, transformer, fp32 | ") == 2
    assert output.count("\n| ours, transformer, fp32, shortlist=30 | ") == 4  # one row in each table


def test_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import data
    from tasks import task

    options = data.parse([*TINY, "--rounds", "1", "--pairs", "400"])
    made = task("transformer", options)
    found = {figures["stage"]: figures for figures in data.batches(made, options)}
    assert found.keys() == {"plan, cut and collate", "plan", "cut", "collate"}
    assert all(figures["target_tokens_per_second"] > 0 for figures in found.values())
    made.data.tokenizer.save(tmp_path / "tokenizer")
    data.write_text(made.data.corpora["train"].pairs, 400, tmp_path)
    figures = data.prepare_once(tmp_path, 400, str(tmp_path / "cache"), options)
    assert figures["pairs"] == 400
    assert figures["target_tokens"] > 400


def test_startup(tmp_path: Path) -> None:
    import startup
    from tasks import task

    options = startup.parse(TINY)
    words = [*task("transformer", options).words, "trainer.log_every=1", f"run={tmp_path}/run"]
    output = startup.start(words, 1, "-X", "importtime")
    reached = startup.stages(output)
    assert 0 < reached["all set up"] < reached["the first update done"]
    found = startup.imports(text for _, text in output)
    assert {"torch", "numpy", "hydra", "seq2seq"} <= found.keys()
    assert sum(found.values()) < reached["the first update done"]
