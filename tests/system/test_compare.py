"""Comparison of real runs: a multirun, its evaluation, one table; and what is refused."""

import json
import shutil
from pathlib import Path
from statistics import fmean

import pytest
from safetensors import safe_open
from system.scripts import Finished, run_script

from seq2seq.config.yaml_files import read_yaml, write_yaml

SMALL = [
    "device=cpu",
    "precision=fp32",
    "data.train=300",
    "data.valid=12",
    "data.test=40",
    "tokenizer.vocab_size=600",
    "embedding.size=12",
    "encoder.hidden_size=8",
    "decoder.hidden_size=16",
    "search=greedy",
    "search.max_length=12",
    "schedule=constant",
    "optimizer.lr=0.01",
    "trainer.tokens_per_update=500",
    "trainer.log_every=2",
    "trainer.validate_every=3",
    "trainer.save_every=3",
    "trainer.max_updates=6",
]
RUNS = [f"a-attention-{attention}-seed-{seed}" for attention in ("luong_dot", "none") for seed in (1, 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two attentions with two seeds each, trained by one command and evaluated by another."""
    folder = tmp_path_factory.mktemp("compare")
    trained = run_script("train", "-m", *SMALL, "attention=luong_dot,none", "seed=1,2", "run=a", cwd=folder)
    assert trained.rc == 0, trained.stderr
    evaluated = run_script("evaluate", "-m", f"run={','.join(RUNS)}", "bootstrap=50", cwd=folder)
    assert evaluated.rc == 0, evaluated.stderr
    return folder


@pytest.fixture(scope="module")
def compared(folder: Path) -> Finished:
    """The comparison of the four runs."""
    return run_script("compare", "runs=a-*", "output=docs/page.md", "json=docs/page.json", cwd=folder)


@pytest.fixture(scope="module")
def rows(folder: Path, compared: Finished) -> dict[str, dict]:
    """The rows of its JSON, by name."""
    assert compared.rc == 0, compared.stderr
    assert compared.stdout == ""
    return {row["name"]: row for row in json.loads((folder / "docs/page.json").read_text())["rows"]}


def scores(folder: Path, run: str) -> dict:
    return json.loads((folder / f"runs/{run}/eval/test.json").read_text())["chrf"]


def test_seeds_share_a_row_with_the_scores_of_evaluate(folder: Path, rows: dict[str, dict]) -> None:
    assert set(rows) == {"attention=luong_dot", "attention=none"}
    for name, row in rows.items():
        assert [run["run"] for run in row["runs"]] == [run for run in RUNS if name.partition("=")[2] in run]
        assert row["score"] == fmean(run["score"] for run in row["runs"])
    chrf = run_script("compare", "runs=a-*", "metric=chrf", "json=chrf.json", cwd=folder)
    assert chrf.rc == 0, chrf.stderr
    for row in json.loads((folder / "chrf.json").read_text())["rows"]:
        found = [scores(folder, run["run"]) for run in row["runs"]]
        assert row["score"] == fmean(score["score"] for score in found)
        assert row["range"] == [min(score["low"] for score in found), max(score["high"] for score in found)]


def test_costs_and_entropy_are_measured(folder: Path, rows: dict[str, dict]) -> None:
    for row in rows.values():
        for run in row["runs"]:
            logged = [
                json.loads(line) for line in (folder / f"runs/{run['run']}/metrics.jsonl").read_text().split("\n")[:-1]
            ]
            step = int(run["checkpoint"].removeprefix("step-"))
            (valid,) = (line["valid/nll"] for line in logged if line["update"] == step and "valid/nll" in line)
            assert run["valid_nll"] == valid
            assert min(run["seconds_per_update"], run["tokens_per_second"]) > 0
            assert run["peak_memory"] == max(line.get("train/peak_memory", 0) for line in logged)
            with safe_open(folder / f"runs/{run['run']}/best/model.safetensors", "pt") as stored:
                assert run["parameters"] == sum(stored.get_tensor(name).numel() for name in stored.keys())  # noqa: SIM118
    assert [run["entropy"] for run in rows["attention=none"]["runs"]] == [None, None]
    assert all(0.5 < run["entropy"] <= 1 for run in rows["attention=luong_dot"]["runs"])  # hardly trained: uniform


def test_page_has_the_table_and_the_commands(folder: Path, rows: dict[str, dict]) -> None:
    page = (folder / "docs/page.md").read_text()
    heads, _, *table = ([cell.strip() for cell in line.split("|")] for line in page.split("\n") if line[:1] == "|")
    found = {cells[1].removesuffix(" ≈").strip("`"): dict(zip(heads, cells, strict=True)) for cells in table}
    assert found.keys() == rows.keys()
    for name, row in rows.items():
        assert found[name]["seeds"] == "2"
        assert found[name]["bleu"].split()[0] == f"{row['score']:.2f}"
        assert found[name]["parameters"] == f"{row['runs'][0]['parameters']:,}"  # the same for all seeds
    words = " ".join(word for word in page.split() if word.startswith("data.test="))
    assert words == "data.test=40"
    assert " attention=luong_dot,none seed=1,2 run=a\n" in page
    assert f"python scripts/evaluate.py -m run={','.join(RUNS)}\n" in page
    assert "python scripts/compare.py 'runs=a-*' output=docs/page.md json=docs/page.json\n" in page
    assert "nrefs:1|case:mixed|eff:no|tok:13a" in page


def test_page_goes_to_stdout_by_default(folder: Path) -> None:
    done = run_script("compare", f"runs=[{RUNS[0]},{RUNS[2]}]", cwd=folder)
    assert done.rc == 0, done.stderr
    assert done.stdout.startswith("# Comparison: attention\n")


def test_printed_commands_find_the_runs_finished(folder: Path, rows: dict[str, dict]) -> None:
    lines = (folder / "docs/page.md").read_text().split("\n")
    (command,) = (line for line in lines if line.startswith("python scripts/train.py"))
    again = run_script("train", *command.split()[2:], cwd=folder)
    assert again.rc == 0, again.stderr
    assert again.stderr.count("is finished: it has reached trainer.max_updates=6") == 4


def copied(folder: Path, name: str, config: tuple[str, str] = ("", "")) -> Path:
    """A copy of the first run under another name, with one text of its config.yaml replaced."""
    run = folder / "runs" / name
    shutil.copytree(folder / "runs" / RUNS[0], run, symlinks=True)
    text = (run / "config.yaml").read_text().partition("\n")[2]  # without its SHA-256
    assert config[0] in text
    (run / "config.yaml").write_text(text.replace(*config))
    return run


def test_missing_or_outdated_evaluation_is_reported_with_the_command(folder: Path) -> None:
    shutil.rmtree(copied(folder, "new") / "eval")
    best = copied(folder, "moved") / "best"
    other = {"step-3": "step-6", "step-6": "step-3"}[best.readlink().name]
    best.unlink()
    best.symlink_to(f"checkpoints/{other}")
    done = run_script("compare", "runs=new,moved", "split=valid", cwd=folder)
    assert done.rc == 4
    assert done.stderr.split("\n")[0] == (
        "run=new has no runs/new/eval/valid.json: python scripts/evaluate.py run=new split=valid"
    )
    done = run_script("compare", "runs=moved,missing", cwd=folder)
    assert done.rc == 4
    moved, missing, end = done.stderr.split("\n")
    assert moved.endswith(f"but the best checkpoint is now {other}: python scripts/evaluate.py run=moved")
    assert missing.startswith("run=missing: there is no runs/missing/config.yaml")
    assert missing.endswith("to train it: python scripts/train.py ... run=missing")
    assert end == ""


def test_unfinished_run_is_reported_with_the_command_to_resume_it(folder: Path) -> None:
    path = copied(folder, "begun", ("max_updates: 6", "max_updates: 60")) / "config.yaml"
    message = "run=begun is unfinished, at update 6: python scripts/train.py"
    done = run_script("compare", "runs=begun", cwd=folder)
    assert (done.rc, done.stderr) == (4, f"{message} ... run=begun  # its settings: runs/begun/config.yaml\n")  # a copy
    write_yaml(read_yaml(path) | {"run": "begun", "command": ["freeze=[a b]", "run=begun"]}, path)
    done = run_script("compare", "runs=begun", cwd=folder)
    assert (done.rc, done.stderr) == (4, f"{message} 'freeze=[a b]' run=begun\n")


def test_different_budgets_and_duplicates_are_refused_in_one_line(folder: Path) -> None:
    copied(folder, "longer", ("max_updates: 6", "max_updates: 3"))
    done = run_script("compare", f"runs={RUNS[0]},longer,{RUNS[2]}", cwd=folder)
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr == (
        f"runs with different budgets cannot be compared in one table; trainer.max_updates: 6 in {RUNS[0]} "
        f"{RUNS[2]}, 3 in longer\n"
    )
    copied(folder, "twin")
    done = run_script("compare", f"runs=twin,{RUNS[0]}", cwd=folder)
    assert done.rc == 2
    assert done.stderr.endswith(f"runs twin and {RUNS[0]} have the same settings and seed: leave one out\n")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "runs: must be given: text or a list"),
        (["runs=zzz-*"], 4, "runs=zzz-*: no run matches runs/zzz-*"),
        ([f"runs={RUNS[0]}", "metric=rougeL"], 4, "has no score metric=rougeL; it has: bleu, chrf"),
        (["runs=a", "split=test", "spilt=x"], 2, "did you mean split?"),
    ],
)
def test_mistakes(folder: Path, words: list[str], code: int, line: str) -> None:
    done = run_script("compare", *words, cwd=folder)
    assert (done.rc, done.stdout) == (code, "")
    assert line in done.stderr
    assert "Traceback" not in done.stderr
