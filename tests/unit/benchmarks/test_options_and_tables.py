"""The benchmarks' command-line options and tables."""

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from seq2seq.types import Pair


@pytest.fixture(autouse=True)
def in_benchmarks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of benchmarks/ import each other by module name."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))


def parsers() -> dict[str, Callable[[list[str]], Any]]:
    import data
    import decoding
    import startup
    import training

    return {module.__name__: module.parse for module in (training, decoding, data, startup)}


@pytest.mark.parametrize(
    ("benchmark", "words", "option", "value"),
    [
        ("training", "", "models", ["transformer", "lstm"]),
        ("training", "--models lstm", "models", ["lstm"]),
        ("training", "", "precisions", None),
        ("training", "--precisions bf16,fp32", "precisions", ["bf16", "fp32"]),
        ("decoding", "", "beams", ["1", "5"]),
        ("decoding", "--beams 5", "beams", ["5"]),
        ("decoding", "", "peers", "auto"),
        ("data", "", "rounds", 3),
        ("data", "--rounds 2", "rounds", 2),
        ("startup", "", "rounds", 5),
        ("startup", "--json out.json", "json", Path("out.json")),
    ],
)
def test_options(benchmark: str, words: str, option: str, value: object) -> None:
    assert getattr(parsers()[benchmark](words.split()), option) == value


@pytest.mark.parametrize(
    ("benchmark", "words", "message"),
    [
        ("training", "--models lstm,gru", "argument --models: unknown: gru; there are transformer, lstm"),
        ("training", "--precisions fp16", "argument --precisions: unknown: fp16; there are fp32 and bf16"),
        ("decoding", "--beams 0", "argument --beams: unknown: 0; there are 1 (greedy) and 5"),
        ("decoding", "--peers some", "argument --peers: invalid choice: 'some' (choose from 'auto', 'none')"),
    ],
)
def test_invalid_options_are_reported(
    benchmark: str, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsers()[benchmark](words.split())
    assert message in capsys.readouterr().err.replace("auto, none", "'auto', 'none'")


def test_default_data_is_multi30k_if_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks

    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)
    assert tasks.usual_data() == "cldr"
    monkeypatch.setenv("SEQ2SEQ_DATA", str(tmp_path))
    assert tasks.usual_data() == "cldr"
    (tmp_path / "multi30k").mkdir()
    assert tasks.usual_data() == "multi30k"


@pytest.mark.parametrize(
    ("figures", "median", "quartiles"),
    [([3.0], 3, (3, 3)), ([4.0, 2.0], 3, (2.5, 3.5)), ([1.0, 9.0, 2.0, 4.0, 3.0], 3, (2, 4))],
)
def test_median_and_quartiles(figures: list[float], median: float, quartiles: tuple[float, float]) -> None:
    from measuring import Sample

    sample = Sample(figures)
    assert (sample.median, sample.quartiles) == (median, quartiles)


def test_a_spread_is_written_as_median_and_quartiles() -> None:
    from measuring import Sample
    from report import spread_text

    assert spread_text(Sample([1000.0, 3000.0, 5000.0])) == "3,000 (2,000 – 4,000)"
    assert spread_text(Sample([0.5]), ".2f") == "0.50 (0.50 – 0.50)"


def turn(seconds: float, **more: float) -> dict[str, float]:
    return {"seconds": seconds, "updates": 2, "source_tokens": 90, "target_tokens": 60, "positions": 200, **more}


def test_row_of_a_training_counts_real_tokens() -> None:
    import training
    from contestants import Contestant
    from report import rates, record

    ours = Contestant("ours", "luong", "bf16", ())
    turns = [turn(0.5, peak_mib=100), turn(1.0, peak_mib=120), turn(0.6, peak_mib=120)]
    speed = rates(turns, "target_tokens")
    row = ["ours, luong, bf16", "100 (80 – 110)", "150", "6", "30", "25.0%", "120"]
    assert training.line(ours, turns, speed) == row
    written = record(ours, turns, "target_tokens", {"padding": 0.25})
    assert (written["target_tokens_per_second"], written["model"], written["turns"]) == (100, "luong", turns)


def test_ours_is_compared_with_its_peer_with_fp32_and_with_luong() -> None:
    import training
    from contestants import Contestant
    from measuring import Sample

    rates = {("ours", "luong", "bf16"): 6.0, ("ours", "bahdanau", "bf16"): 3.0, ("ours", "bahdanau", "fp32"): 2.0}
    rates |= {("JoeyNMT", "luong", "fp32"): 1.0, ("JoeyNMT", "bahdanau", "fp32"): 0.5}
    speed = {Contestant(*names, ()): Sample([rate]) for names, rate in rates.items()}
    assert [tuple(cells) for cells in training.comparisons(speed)] == [
        ("ours, luong, bf16", "JoeyNMT, luong, fp32", "6.00"),
        ("ours, bahdanau, bf16", "ours, luong, bf16", "0.50"),
        ("ours, bahdanau, bf16", "ours, bahdanau, fp32", "1.50"),
        ("ours, bahdanau, bf16", "JoeyNMT, bahdanau, fp32", "6.00"),
        ("ours, bahdanau, fp32", "JoeyNMT, bahdanau, fp32", "4.00"),
    ]


def test_text_is_repeated_with_variation() -> None:
    import data

    texts = [Pair("ein Haus", "a house"), Pair("zwei\nHäuser", "two houses")]
    found = list(islice(data.varied(texts), 5))
    assert found[:3] == [("ein Haus", "a house"), ("zwei Häuser", "two houses"), ("ein Haus (1)", "a house (1)")]
    assert len(set(found)) == 5


def test_batches_of_the_peers_have_sentences_of_similar_length(monkeypatch: pytest.MonkeyPatch) -> None:
    from peers import batching

    assert batching.longest_first([[1], [1, 2, 3], [], [1, 2]], 3) == [[1, 3, 0], [2]]
    clock = iter([0, 5, 5, 8, 8, 12])  # 5 s, 3 s, 4 s: the third is slower, and the fourth is not tried
    monkeypatch.setattr(batching.time, "perf_counter", lambda: next(clock))
    tried: list[int] = []
    assert batching.best_size(tried.append, (1, 2, 4, 8)) == 2
    assert tried == [1, 2, 4]


def test_import_times_are_summed_by_package() -> None:
    import startup

    log = """\
import time: self [us] | cumulative | imported package
import time:      2000 |       2000 |   torch._C
import time:   1000000 |    1002000 | torch
run runs/x begins: 7.0M parameters, on cpu in bf16
import time:       500 |        500 | seq2seq.training.run
"""
    assert startup.imports(log.split("\n")) == {"torch": 1.002, "seq2seq": 0.0005}
    rows = startup.import_lines([{"torch": 1.0, "numpy": 0.2}, {"torch": 2.0}, {"torch": 3.0, "numpy": 0.4}])
    assert rows == [["all", "2.00 (1.60 – 2.70)"], ["torch", "2.00"], ["numpy", "0.20"]]


def test_stages_are_found_in_the_log_of_a_run() -> None:
    import startup

    log = [
        (0.5, "train: 300 pairs"),
        (2.0, "run runs/x begins: 7.0M parameters"),
        (2.5, "update 1/3,000: train/loss 9"),
    ]
    assert startup.stages(log) == {"all set up": 2.0, "the first update done": 2.5}


def test_peers_have_our_version_of_torch(repository: Path) -> None:
    """Their requirements pin no package that constraints.txt pins."""
    pinned = re.findall(r"^([\w.-]+)==", (repository / "constraints.txt").read_text(), flags=re.MULTILINE)
    requirements = (repository / "benchmarks/peers/requirements.txt").read_text()
    twice = [
        name for name in pinned if re.search(rf"^{re.escape(name)}==", requirements, flags=re.MULTILINE | re.IGNORECASE)
    ]
    assert "torch" in pinned
    assert "\ntorch\n" in requirements
    assert twice == []
