"""From Python: the results and the errors of the scripts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from system.scripts import run_script

import seq2seq
from seq2seq import ConfigError, Seq2SeqError, Translation, Translator
from seq2seq.inference.line_output import one_line

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}
TASK = [
    "data=files",
    *(f"data.{split}.{side}={split}.{side}" for split in ("train", "valid", "test") for side in ("source", "target")),
    "preset=none",
    "attention=bahdanau",
    "attention.attn_dim=16",
    "embedding.size=16",
    "encoder.hidden_size=16",
    "decoder.hidden_size=32",
    "schedule=constant",
    "optimizer.lr=0.01",
    "search.max_length=30",
    "trainer.tokens_per_update=600",
    "trainer.count=target",
    "trainer.tokens_per_batch=1024",
    "trainer.max_updates=80",
    "trainer.validate_every=20",
    "trainer.save_every=20",
    "device=cpu",
    "precision=fp32",
]
LINES = 1_100  # more than are decoded together


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, `base` and `other`, and files of texts and their beginnings."""
    folder = tmp_path_factory.mktemp("python")
    for split, count in (("train", 1500), ("valid", 30), ("test", 30)):
        rows = [Random(f"{split}{i}").choices([*WORDS], k=1 + i % 4) for i in range(count)]
        for side, of in (("source", str), ("target", WORDS.get)):
            (folder / f"{split}.{side}").write_text("".join(" ".join(map(of, row)) + "\n" for row in rows))
    for words in (["run=base"], ["run=other", "seed=2"]):
        done = run_script("train", *words, *TASK, cwd=folder)
        assert done.rc == 0, done.stderr
    texts = [" ".join(Random(i).choices([*WORDS], k=1 + i % 5)) for i in range(LINES)]
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in texts))
    (folder / "begin.txt").write_text("".join("two \n" if i % 3 else "\n" for i in range(LINES)))
    return folder


@pytest.fixture
def folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same; the working directory is there."""
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two threads, so that batches are decoded by two workers."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


def lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1]


def as_written(found: list[Translation], n_best: int) -> list[str]:
    """The lines of translate.py, in which line breaks of every kind become spaces."""
    if n_best == 1:
        return [one_line(one.text) for one in found]
    return [
        "\t".join([f"{number}", f"{each.score:.4f}", f"{each.log_prob:.4f}", one_line(each.text)])
        for number, one in enumerate(found, 1)
        for each in one.candidates
    ]


SAMPLING = {"search": "sampling", "search.samples": 2, "search.seed": 5, "search.max_length": 12}


@pytest.mark.parametrize(
    ("words", "given", "n_best"),
    [
        ([], {}, 1),
        (["n_best=3"], {}, 3),
        (["checkpoint=last", "search.beam_size=2", "n_best=2"], {"checkpoint": "last", "search": {"beam_size": 2}}, 2),
        (["prefix=begin.txt", "n_best=2"], {}, 2),
        ([*(f"{key}={value}" for key, value in SAMPLING.items()), "n_best=2"], SAMPLING, 2),
        (["ensemble=[other]", "n_best=2"], {"ensemble": ["other"]}, 2),
        (["shortlist=3", "n_best=2"], {"shortlist": 3}, 2),
        (["precision=int8", "n_best=2"], {"precision": "int8"}, 2),
    ],
    ids=["plain", "n_best", "changed", "prefixes", "sampling", "ensemble", "shortlist", "int8"],
)
def test_translations_are_those_of_the_script(
    folder: Path, words: list[str], given: dict[str, Any], n_best: int
) -> None:
    done = run_script("translate", "run=base", "input=in.txt", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    prefixes = lines(folder / "begin.txt") if "prefix=begin.txt" in words else None
    found = Translator.load("base", **given).translate(lines(folder / "in.txt"), n_best, prefixes)
    assert as_written(found, n_best) == done.stdout.split("\n")[:-1]
    assert len({one.text for one in found}) > 50


def test_words_mappings_and_names_mean_the_same(folder: Path) -> None:
    texts = lines(folder / "in.txt")[:20]
    given: list[tuple[list[Any], dict[str, Any]]] = [
        (["search.beam_size=2", "search.length_penalty=0.5"], {}),
        ([{"search.beam_size": 2}, "search.length_penalty=0.5"], {}),
        ([{"search": {"beam_size": 2, "length_penalty": 0.5}}], {}),
        ([], {"search": {"beam_size": 2}, "search.length_penalty": 0.5}),
    ]
    for run in ("base", "runs/base", folder / "runs/base"):
        found = [Translator.load(run, *words, **keys).translate(texts, 2) for words, keys in given]
        assert found == found[:1] * len(given)
    assert found[0] != Translator.load("base").translate(texts, 2)


@pytest.mark.parametrize("search", ["beam", "sampling"])
def test_eight_threads_get_what_one_gets(folder: Path, two_threads: None, search: str) -> None:
    translator = Translator.load("base", SAMPLING if search == "sampling" else {})
    texts = lines(folder / "in.txt")
    parts = [texts[i * 100 : i * 100 + 100 + i] for i in range(8)]
    alone = [translator.translate(part, 2) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert list(pool.map(lambda part: translator.translate(part, 2), parts)) == alone
    assert torch.get_num_threads() == 2


def test_several_translators_are_loaded_and_used_at_the_same_time(folder: Path) -> None:
    texts = lines(folder / "in.txt")[:50]
    runs = ["base", "other"]
    expected = [Translator.load(run).translate(texts) for run in runs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda run: Translator.load(run, "search.beam_size=5").translate(texts), runs * 4))
    assert found == expected * 4
    assert expected[0] != expected[1]


NO_HYDRA = """
import sys, time
began = time.perf_counter()
import torch
torch_alone = time.perf_counter() - began
import seq2seq
assert not [name for name in sys.modules if name.startswith("seq2seq.")]
from seq2seq import Translator
words = ["search.beam_size=3", "trainer.tokens_per_batch=300", "ensemble=[other]", "cache_dir=~/x"]
translator = Translator.load("base", *words, device="cpu")
assert translator.translate(["drei eins"])[0].text
assert "hydra" not in sys.modules
print(time.perf_counter() - began - torch_alone, torch_alone)
"""


def test_a_translator_needs_no_hydra_and_is_ready_soon(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_HYDRA], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    ours, torch_alone = map(float, done.stdout.split())
    assert ours < max(3.0, 2 * torch_alone)  # of a busy machine


def test_an_evaluation_is_that_of_the_script(folder: Path) -> None:
    words = ("run=base", "split=valid", "bootstrap=100", "search.beam_size=2", "baselines=[lead-1]")
    done = run_script("evaluate", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    path, best = Path("runs/base/eval/valid-search.beam_size=2.json"), Path("runs/base/best").resolve().name
    written = json.loads(path.read_bytes())
    path.unlink()
    found = seq2seq.evaluate(run="base", split="valid", bootstrap=100, search={"beam_size": 2}, baselines=["lead-1"])
    assert found.table + "\n" == done.stdout
    assert (found.path, found.checkpoint, found.split) == (path, best, "valid")
    assert json.loads(path.read_bytes()) | {"seconds": 0} == written | {"seconds": 0}
    assert found.scores["bleu"].plain() == written["bleu"]
    assert found.baselines["lead-1"].lead["bleu"].p_value == written["baselines"]["lead-1"]["bleu"]["p_value"]
    assert found.hypotheses == lines(path.with_suffix("").with_name(f"{path.stem}.hyp.txt"))


@pytest.mark.usefixtures("folder")
def test_a_training_is_that_of_the_script() -> None:
    words = [word for word in TASK if not word.startswith(("device=", "trainer.max_updates="))]
    found = seq2seq.train(*words, {"trainer.max_updates": 20}, run="mine", device="cpu")
    assert (found.run, found.update, found.begun_at, found.limit) == (
        Path("runs/mine"),
        20,
        0,
        "trainer.max_updates=20",
    )
    found = seq2seq.train(*words, run="mine", device="cpu", trainer={"max_updates": 80})
    assert (found.update, found.begun_at, found.metric) == (80, 20, "valid/bleu")
    again = seq2seq.train(*words, run="mine", device="cpu", trainer={"max_updates": 80})
    assert (again.begun_at, again.update, again.best_score) == (80, 80, found.best_score)
    scores = [json.loads(line) for line in lines(Path("runs/mine/metrics.jsonl")) if "valid/bleu" in line]
    assert found.best_score == round(max(each["valid/bleu"] for each in scores), 2)
    weights = [Path(f"runs/{run}/checkpoints/step-80/model.safetensors").read_bytes() for run in ("base", "mine")]
    assert weights[0] == weights[1]


def load(run: str, *words: str) -> Translator:
    return Translator.load(run.removeprefix("run="), *words)


MISTAKES = [
    ("translate", ["run=base", "search.beam_sise=5"]),
    ("translate", ["run=base", "search.beam_size=many", "serach=greedy", "device=gpu"]),
    ("translate", ["run=base", "encoder.layers=2", "shortlist=1000"]),
    ("translate", ["run=base", "search=sampling", "search.samples=0"]),
    ("translate", ["run=bsae"]),
    ("evaluate", ["run=base", "splt=valid", "bootstrap=-1"]),
    ("evaluate", ["run=base", "split=valdi", "bootstrap=0"]),
    ("train", ["run=new", "encodr=lstm", "encoder.hidden_size=x"]),
    ("train", ["run=base", *TASK, "seed=7"]),
]


@pytest.mark.parametrize(("script", "words"), MISTAKES)
def test_errors_have_the_lines_of_the_script(folder: Path, script: str, words: list[str]) -> None:
    done = run_script(script, *words, cwd=folder)
    calls = {"train": seq2seq.train, "evaluate": seq2seq.evaluate, "translate": load}
    with pytest.raises(Seq2SeqError) as caught:
        calls[script](*words)
    assert caught.value.exit_code == done.rc
    assert done.stderr.endswith(f"{caught.value}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-m", "seed=1,2"], "-m: a call from Python starts one run; call it once for each combination"),
        (["seed=1,2"], "seed=1,2: several values need a call each."),
        (["encoder=lstm,gru"], "encoder=lstm,gru: several choices need a call each"),
        (["--config-dir=mine"], "--config-dir=mine: from Python it is an argument: config_dir=DIR"),
        (["--help"], "--help: the options of the command line are not available from Python"),
        (["hydra.verbose=true"], "hydra.verbose=true: settings of Hydra itself have no effect from Python"),
    ],
)
def test_what_is_for_the_command_line_only(folder: Path, words: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        seq2seq.train(*words)
    assert f"\n  {line}" in str(caught.value)


def test_a_folder_of_the_users_own_choices(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search/wide.yaml").write_text(
        "_target_: seq2seq.search.beam.BeamSearch\n_partial_: true\nbeam_size: 7\nlength_penalty: 1.0\n"
        "coverage_penalty: 0.0\nmax_length: 12\nmax_length_ratio: 2.0\nmin_length: 0\nno_repeat_ngram: 0\n"
    )
    translator = Translator.load("base", search="wide", config_dir=tmp_path)
    assert len(translator.translate(["drei eins"], n_best=7)[0].candidates) == 7
    with pytest.raises(ConfigError, match="search=wide: there is no search 'wide'"):
        Translator.load("base", search="wide")
