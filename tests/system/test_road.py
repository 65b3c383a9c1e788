"""The whole road through the scripts, as a user walks it: train, kill, continue, evaluate, compare, translate."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from system.scripts import SCRIPTS, run_script

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}
SIZES = [
    "data=files",
    "tokenizer=unigram",
    "tokenizer.vocab_size=285",
    "attention=bahdanau",
    "attention.attn_dim=16",
    "decoder.attend=before",
    "embedding.size=16",
    "encoder.hidden_size=16",
    "decoder.hidden_size=32",
    "encoder.dropout=0.1",
    "schedule=constant",
    "optimizer.lr=0.015",
    "trainer.tokens_per_update=400",
    "trainer.count=target",
    "trainer.log_every=5",
    "trainer.validate_every=20",
    "trainer.save_every=10",
    "device=cpu",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Number words to translate, and one trained run named `road`."""
    folder = tmp_path_factory.mktemp("road")
    words = list(WORDS)
    for split, count, step in (("train", 400, 7), ("valid", 20, 11), ("test", 20, 13)):
        rows = [[words[(i * step + j * (i + 3)) % 6] for j in range(1 + i % 4)] for i in range(count)]
        for side, of in (("de", str), ("en", WORDS.get)):
            (folder / f"{split}.{side}").write_text("".join(" ".join(map(of, row)) + "\n" for row in rows))
    files = [
        f"data.{split}.{key}={split}.{side}"
        for split in ("train", "valid", "test")
        for key, side in (("source", "de"), ("target", "en"))
    ]
    (folder / "arguments.json").write_text(json.dumps([*SIZES, *files]))
    trained = run_script("train", "run=road", *arguments(folder), "trainer.max_updates=60", cwd=folder)
    assert trained.rc == 0, trained.stderr
    assert trained.stdout == ""
    return folder


def arguments(folder: Path) -> list[str]:
    return json.loads((folder / "arguments.json").read_text())


def test_training_reports_on_stderr_and_leaves_its_figures(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "runs/road/metrics.jsonl").read_text().split("\n")[:-1]]
    assert [line["update"] for line in lines if "train/loss" in line] == list(range(5, 61, 5))
    assert [line["update"] for line in lines if "valid/bleu" in line] == [20, 40, 60]
    assert lines[-1]["valid/nll"] < lines[0]["train/nll"]
    assert list((folder / "runs/road").glob("events.out.tfevents.*"))


def test_kill_minus_nine_costs_nothing_but_time(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=killed", *arguments(folder), "trainer.max_updates=60"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "runs/killed/checkpoints/step-20").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "runs/killed/checkpoints/step-60").exists()
    assert run_script("train", "run=killed", *arguments(folder), "trainer.max_updates=60", cwd=folder).rc == 0
    for name in ("model", "optimizer"):
        one, other = (
            load_file(folder / f"runs/{run}/checkpoints/step-60/{name}.safetensors") for run in ("road", "killed")
        )
        assert one.keys() == other.keys()
        assert all(one[key].equal(other[key]) for key in one)


def test_interrupted_it_saves_and_says_so(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=stopped", *arguments(folder), "trainer.max_updates=9999"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    metrics = folder / "runs/stopped/metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"saved after update" in said
    assert b"Traceback" not in said


def test_told_to_stop_in_its_first_validation_it_has_saved(folder: Path) -> None:
    """And the command given again begins with that validation."""
    own = ["data.valid.source=train.de", "data.valid.target=train.en", "trainer.validate_every=2"]
    own += ["trainer.tokens_per_batch=20", "search.max_length=30"]  # a hundred batches, each a moment to stop at
    keys = {word.split("=")[0] for word in own}
    kept = [word for word in arguments(folder) if word.split("=")[0] not in keys]
    words = ["run=validating", *kept, *own, "trainer.max_updates=2"]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "train.py"), *words], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (folder / "runs/validating/checkpoints/step-2").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    ending = ["stopping: saving after update 2", "stopped by a signal: saved after update 2", ""]
    assert said.split("\n")[-3:] == ending
    assert "valid/nll" not in (folder / "runs/validating/metrics.jsonl").read_text()
    assert not (folder / "runs/validating/best").exists()
    done = run_script("train", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    assert "validation at update 2" in done.stderr
    assert (folder / "runs/validating/best/model.safetensors").is_file()


def test_evaluation_prints_a_table_and_writes_files(folder: Path) -> None:
    done = run_script("evaluate", "run=road", "bootstrap=100", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "bleu" in done.stdout
    assert "nrefs:1|case:mixed|eff:no|tok:13a" in done.stdout
    result = json.loads((folder / "runs/road/eval/test.json").read_text())
    assert result["bleu"]["low"] <= result["bleu"]["score"] <= result["bleu"]["high"]
    assert result["search"]["beam_size"] == 5
    hypotheses = (folder / "runs/road/eval/test.hyp.txt").read_text().split("\n")
    assert len(hypotheses) == 21
    assert set(" ".join(hypotheses).split()) <= set(WORDS.values())


def test_other_search_settings_have_a_file_of_their_own_and_a_baseline(folder: Path) -> None:
    run_script("evaluate", "run=road", "bootstrap=0", cwd=folder)
    done = run_script("evaluate", "run=road", "search.beam_size=1", "baseline=road", "bootstrap=0", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "p = " in done.stdout
    result = json.loads((folder / "runs/road/eval/test-search.beam_size=1.json").read_text())
    assert result["search"]["beam_size"] == 1
    assert "p_value" in result["baseline"]["bleu"]


def test_a_baseline_that_was_not_evaluated(folder: Path) -> None:
    done = run_script("evaluate", "run=road", "split=valid", "baseline=road", cwd=folder)
    assert done.rc == 4
    assert "python scripts/evaluate.py run=road split=valid" in done.stderr


@pytest.mark.parametrize("checkpoint", ["last", "average", "step-60"])
def test_checkpoints_by_name(folder: Path, checkpoint: str) -> None:
    done = run_script("evaluate", "run=road", f"checkpoint={checkpoint}", "bootstrap=0", cwd=folder)
    assert done.rc == 0, done.stderr
    assert (folder / f"runs/road/eval/test-{checkpoint}.json").exists()


ODD_LINES = {
    "empty": b"",
    "spaces": b"   ",
    "not UTF-8": b"eins \xff zwei",
    "a lone CR": b"eins\rzwei",
    "other line breaks": "eins\u2028zwei\x0bdrei\x85vier".encode(),
    "NUL": b"eins\x00zwei",
    "unseen letters": "日本語 🙂 قطة".encode(),
    "endless": b"eins " * 3000,
    "CRLF": b"eins zwei\r",
}


def test_translation_answers_every_line_with_a_line(folder: Path) -> None:
    lines = [b"eins zwei", *ODD_LINES.values(), b"drei"]
    done = run_script("translate", "run=road", cwd=folder, stdin=b"\n".join(lines))
    assert done.rc == 0, done.stderr
    answers = done.stdout.split("\n")
    assert len(answers) == len(lines) + 1
    assert answers[-1] == ""
    assert answers[1] == answers[2] == ""  # nothing to translate
    assert answers[0] == run_script("translate", "run=road", cwd=folder, stdin="eins zwei\n").stdout.strip("\n")
    assert "1 lines were not valid UTF-8" in done.stderr
    assert "1 lines were longer" in done.stderr


def test_translation_of_nothing_is_nothing(folder: Path) -> None:
    done = run_script("translate", "run=road", cwd=folder, stdin=b"")
    assert (done.rc, done.stdout) == (0, "")


def test_translation_from_file_to_file_and_of_json(folder: Path) -> None:
    done = run_script("translate", "run=road", "input=test.de", "output=out.txt", cwd=folder)
    assert done.rc == 0, done.stderr
    assert done.stdout == ""
    assert len((folder / "out.txt").read_text().split("\n")) == 21
    (folder / "in.jsonl").write_text('{"source": "eins zwei", "id": 7}\n{"source": "drei"}\n')
    done = run_script("translate", "run=road", "input=in.jsonl", cwd=folder)
    records = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [record["source"] for record in records] == ["eins zwei", "drei"]
    assert records[0]["id"] == 7
    assert all(isinstance(record["output"], str) for record in records)


def test_several_answers_with_scores_that_forced_decoding_gives_too(folder: Path) -> None:
    (folder / "two.de").write_text("eins zwei\ndrei\n")
    (folder / "begin.en").write_text("one two\n\n")
    words = ("input=two.de", "prefix=begin.en", "n_best=3", "search.length_penalty=0", "search.min_length=3")
    done = run_script("translate", "run=road", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.split("\n")[:-1]]
    assert [number for number, *_ in rows] == ["1"] * 3 + ["2"] * 3
    assert all(score == log_prob for _, score, log_prob, _ in rows)
    assert all(text.startswith("one two") for number, _, _, text in rows if number == "1")
    (folder / "best.de").write_text("".join({"1": "eins zwei\n", "2": "drei\n"}[number] for number, *_ in rows))
    (folder / "best.en").write_text("".join(text + "\n" for *_, text in rows))
    done = run_script("score", "run=road", "source=best.de", "target=best.en", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "6 pairs" in done.stderr
    assert "perplexity" in done.stderr
    scored = [line.split("\t")[0] for line in done.stdout.split("\n")[:-1]]
    found = dict(zip([log_prob for _, _, log_prob, _ in rows], scored, strict=True))
    assert any(abs(float(one) - float(other)) < 2e-4 for one, other in found.items())  # those segmented alike


@pytest.mark.parametrize(
    ("content", "line"),
    [("{\n", "bad.jsonl, line 1 is not JSON"), ('{"text": "x"}\n', "there is no column 'source'; there are: text")],
)
def test_broken_json_is_named(folder: Path, content: str, line: str) -> None:
    (folder / "bad.jsonl").write_text(content)
    done = run_script("translate", "run=road", "input=bad.jsonl", cwd=folder)
    assert done.rc == 3
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_not_there(folder: Path) -> None:
    done = run_script("evaluate", "run=raod", cwd=folder)
    assert done.rc == 4
    assert "did you mean road?" in done.stderr


def test_a_damaged_checkpoint_is_found_out(folder: Path) -> None:
    run_script("train", "run=damaged", *arguments(folder), "trainer.max_updates=20", cwd=folder)
    model = folder / "runs/damaged/checkpoints/step-20/model.safetensors"
    content = bytearray(model.read_bytes())
    content[-5] ^= 1
    model.write_bytes(content)
    done = run_script("evaluate", "run=damaged", cwd=folder)
    assert done.rc == 4
    assert "step-20/model.safetensors" in done.stderr


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"train.en": b"one\n"}, "has 400 lines but"),
        ({"train.de": b"\xff\n" * 400}, "train.de, line 1"),
        ({"train.de": b"", "train.en": b""}, "train.de"),
        ({"valid.en": None}, "valid.en"),
    ],
    ids=["unequal", "not UTF-8", "empty", "missing"],
)
def test_bad_text_stops_with_exit_code_three(
    folder: Path, tmp_path: Path, change: dict[str, bytes | None], line: str
) -> None:
    for path in folder.glob("*.??"):
        content = change.get(path.name, path.read_bytes())
        if content is not None:
            (tmp_path / path.name).write_bytes(content)
    done = run_script("train", "run=bad", *arguments(folder), cwd=tmp_path)
    assert done.rc == 3, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs/bad/config.yaml").exists()


def test_a_vocabulary_that_is_too_large_names_the_largest(folder: Path) -> None:
    words = [word for word in arguments(folder) if not word.startswith("tokenizer.")]
    done = run_script("train", "run=large", *words, "tokenizer.vocab_size=5000", cwd=folder)
    assert done.rc == 3
    assert "tokenizer.vocab_size" in done.stderr


def test_two_trainers_of_one_run_are_kept_apart(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=twice", *arguments(folder), "trainer.max_updates=9999"]
    first = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "runs/twice/metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        second = run_script("train", "run=twice", *arguments(folder), "trainer.max_updates=9999", cwd=folder)
        assert second.rc == 4
        assert f"is being trained by process {first.pid}" in second.stderr
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()


def test_a_multirun_trains_each_job(folder: Path) -> None:
    done = run_script("train", "-m", "seed=1,2", "run=sweep", *arguments(folder), "trainer.max_updates=2", cwd=folder)
    assert done.rc == 0, done.stderr
    assert sorted(path.name for path in (folder / "runs").glob("sweep*")) == ["sweep-seed-1", "sweep-seed-2"]
