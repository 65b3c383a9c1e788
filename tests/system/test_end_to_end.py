"""Train, kill, resume, evaluate, translate and score with the scripts, as a user does."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from system.processes import is_written, started, wait_until
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
    """Number words to translate, and one trained run named `base`."""
    folder = tmp_path_factory.mktemp("end_to_end")
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
    trained = run_script("train", "run=base", *arguments(folder), "trainer.max_updates=60", cwd=folder)
    assert trained.rc == 0, trained.stderr
    assert trained.stdout == ""
    (folder / "reports.txt").write_text(trained.stderr)
    return folder


def arguments(folder: Path) -> list[str]:
    return json.loads((folder / "arguments.json").read_text())


def test_training_writes_and_reports_its_metrics(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "runs/base/metrics.jsonl").read_text().split("\n")[:-1]]
    assert [line["update"] for line in lines if "train/loss" in line] == list(range(5, 61, 5))
    assert [line["update"] for line in lines if "valid/bleu" in line] == [20, 40, 60]
    assert lines[-1]["valid/nll"] < lines[0]["train/nll"]
    assert list((folder / "runs/base").glob("events.out.tfevents.*"))
    reports = (folder / "reports.txt").read_text().split("\n")
    (logged,) = (line for line in reports if line.startswith("update 60/60: "))
    (loss,) = (line["train/loss"] for line in lines if line["update"] == 60 and "train/loss" in line)
    assert f"train/loss {loss:.3f}, " in logged
    (validated,) = (line for line in reports if line.startswith("validation at update 60: "))
    assert f"valid/nll {lines[-1]['valid/nll']:.3f}, " in validated


def test_run_resumed_after_sigkill_has_the_same_weights(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=killed", *arguments(folder), "trainer.max_updates=60"]
    with started(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until((folder / "runs/killed/checkpoints/step-20").exists, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not (folder / "runs/killed/checkpoints/step-60").exists()
    assert run_script("train", "run=killed", *arguments(folder), "trainer.max_updates=60", cwd=folder).rc == 0
    for name in ("model", "optimizer"):
        one, other = (
            load_file(folder / f"runs/{run}/checkpoints/step-60/{name}.safetensors") for run in ("base", "killed")
        )
        assert one.keys() == other.keys()
        assert all(one[key].equal(other[key]) for key in one)


def test_interrupted_training_saves_and_reports_it(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=stopped", *arguments(folder), "trainer.max_updates=9999"]
    with started(command, cwd=folder, stderr=subprocess.PIPE) as process:
        wait_until(lambda: is_written(folder / "runs/stopped/metrics.jsonl"), process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"saved after update" in stderr
    assert b"Traceback" not in stderr


def test_training_stopped_in_its_first_validation_has_saved(folder: Path) -> None:
    """The same command then resumes with that validation."""
    own = ["data.valid.source=train.de", "data.valid.target=train.en", "trainer.validate_every=2"]
    own += ["trainer.tokens_per_batch=20", "search.max_length=30"]  # a hundred batches: it can stop after each
    keys = {word.split("=")[0] for word in own}
    kept = [word for word in arguments(folder) if word.split("=")[0] not in keys]
    words = ["run=validating", *kept, *own, "trainer.max_updates=2"]
    command = [sys.executable, str(SCRIPTS / "train.py"), *words]
    with started(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        wait_until((folder / "runs/validating/checkpoints/step-2").exists, process)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    ending = ["stopping: saving after update 2", "stopped by a signal: saved after update 2", ""]
    assert stderr.split("\n")[-3:] == ending
    assert "valid/nll" not in (folder / "runs/validating/metrics.jsonl").read_text()
    assert not (folder / "runs/validating/best").exists()
    done = run_script("train", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    assert "validation at update 2" in done.stderr
    assert (folder / "runs/validating/best/model.safetensors").is_file()


def test_evaluation_prints_a_table_and_writes_files(folder: Path) -> None:
    done = run_script("evaluate", "run=base", "bootstrap=100", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "bleu" in done.stdout
    assert "nrefs:1|case:mixed|eff:no|tok:13a" in done.stdout
    result = json.loads((folder / "runs/base/eval/test.json").read_text())
    assert result["bleu"]["low"] <= result["bleu"]["score"] <= result["bleu"]["high"]
    assert result["search"]["beam_size"] == 5
    hypotheses = (folder / "runs/base/eval/test.hyp.txt").read_text()
    assert hypotheses.count("\n") == 20
    assert hypotheses == run_script("translate", "run=base", "input=test.de", cwd=folder).stdout
    assert set(hypotheses.split()) & set(WORDS.values())


def test_other_search_settings_have_their_own_file_and_a_baseline(folder: Path) -> None:
    for words in ([], ["search.beam_size=1", "baseline=base"]):
        done = run_script("evaluate", "run=base", "bootstrap=0", *words, cwd=folder)
        assert done.rc == 0, done.stderr
    assert "p = " in done.stdout
    result = json.loads((folder / "runs/base/eval/test-search.beam_size=1.json").read_text())
    assert result["search"]["beam_size"] == 1
    assert "p_value" in result["baseline"]["bleu"]


def test_a_baseline_that_was_not_evaluated(folder: Path) -> None:
    done = run_script("evaluate", "run=base", "split=valid", "baseline=base", cwd=folder)
    assert done.rc == 4
    assert "python scripts/evaluate.py run=base split=valid" in done.stderr


@pytest.mark.parametrize("checkpoint", ["last", "average", "step-60"])
def test_checkpoints_by_name(folder: Path, checkpoint: str) -> None:
    done = run_script("evaluate", "run=base", f"checkpoint={checkpoint}", "bootstrap=0", cwd=folder)
    assert done.rc == 0, done.stderr
    assert (folder / f"runs/base/eval/test-{checkpoint}.json").exists()


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


def test_every_line_is_translated_to_one_line(folder: Path) -> None:
    lines = [b"eins zwei", *ODD_LINES.values(), b"drei"]
    done = run_script("translate", "run=base", cwd=folder, stdin=b"\n".join(lines))
    assert done.rc == 0, done.stderr
    outputs = done.stdout.split("\n")
    assert len(outputs) == len(lines) + 1
    assert outputs[-1] == ""
    assert outputs[1] == outputs[2] == ""  # nothing to translate
    assert outputs[0] == run_script("translate", "run=base", cwd=folder, stdin="eins zwei\n").stdout.strip("\n")
    assert "1 lines were not valid UTF-8" in done.stderr
    assert "1 lines were longer" in done.stderr


def test_translation_of_empty_input_is_empty(folder: Path) -> None:
    done = run_script("translate", "run=base", cwd=folder, stdin=b"")
    assert (done.rc, done.stdout) == (0, "")


def test_translation_from_file_to_file_and_of_json(folder: Path) -> None:
    done = run_script("translate", "run=base", "input=test.de", "output=out.txt", cwd=folder)
    assert done.rc == 0, done.stderr
    assert done.stdout == ""
    assert len((folder / "out.txt").read_text().split("\n")) == 21
    (folder / "in.jsonl").write_text('{"source": "eins zwei", "id": 7}\n{"source": "drei"}\n')
    done = run_script("translate", "run=base", "input=in.jsonl", cwd=folder)
    records = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [record["source"] for record in records] == ["eins zwei", "drei"]
    assert records[0]["id"] == 7
    assert all(isinstance(record["output"], str) for record in records)


def test_n_best_scores_equal_those_of_forced_decoding(folder: Path) -> None:
    (folder / "two.de").write_text("eins zwei\ndrei\n")
    (folder / "begin.en").write_text("one two\n\n")
    words = ("input=two.de", "prefix=begin.en", "n_best=3", "search.length_penalty=0", "search.min_length=3")
    done = run_script("translate", "run=base", *words, cwd=folder)
    assert done.rc == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.split("\n")[:-1]]
    assert [number for number, *_ in rows] == ["1"] * 3 + ["2"] * 3
    assert all(score == log_prob for _, score, log_prob, _ in rows)
    assert all(text.startswith("one two") for number, _, _, text in rows if number == "1")
    (folder / "best.de").write_text("".join({"1": "eins zwei\n", "2": "drei\n"}[number] for number, *_ in rows))
    (folder / "best.en").write_text("".join(text + "\n" for *_, text in rows))
    done = run_script("score", "run=base", "source=best.de", "target=best.en", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "6 pairs" in done.stderr
    assert "perplexity" in done.stderr
    scored = [line.split("\t")[0] for line in done.stdout.split("\n")[:-1]]
    found = dict(zip([log_prob for _, _, log_prob, _ in rows], scored, strict=True))
    assert any(abs(float(one) - float(other)) < 2e-4 for one, other in found.items())  # if segmented the same


@pytest.mark.parametrize(
    ("content", "line"),
    [("{\n", "bad.jsonl, line 1 is not JSON"), ('{"text": "x"}\n', "there is no column 'source'; there are: text")],
)
def test_invalid_json_is_reported(folder: Path, content: str, line: str) -> None:
    (folder / "bad.jsonl").write_text(content)
    done = run_script("translate", "run=base", "input=bad.jsonl", cwd=folder)
    assert done.rc == 3
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_run(folder: Path) -> None:
    done = run_script("evaluate", "run=bsae", cwd=folder)
    assert done.rc == 4
    assert "did you mean base?" in done.stderr


def test_damaged_checkpoint_is_refused(folder: Path) -> None:
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
def test_bad_text_has_exit_code_3(folder: Path, tmp_path: Path, change: dict[str, bytes | None], line: str) -> None:
    for path in folder.glob("*.??"):
        content = change.get(path.name, path.read_bytes())
        if content is not None:
            (tmp_path / path.name).write_bytes(content)
    done = run_script("train", "run=bad", *arguments(folder), cwd=tmp_path)
    assert done.rc == 3, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs/bad/config.yaml").exists()


def test_too_large_vocabulary_is_reported(folder: Path) -> None:
    words = [word for word in arguments(folder) if not word.startswith("tokenizer.")]
    done = run_script("train", "run=large", *words, "tokenizer.vocab_size=5000", cwd=folder)
    assert done.rc == 3
    assert "tokenizer.vocab_size" in done.stderr


def test_second_trainer_of_a_run_is_refused(folder: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "train.py"), "run=twice", *arguments(folder), "trainer.max_updates=9999"]
    with started(command, cwd=folder, stderr=subprocess.DEVNULL) as first:
        wait_until((folder / "runs/twice/metrics.jsonl").exists, first)
        second = run_script("train", "run=twice", *arguments(folder), "trainer.max_updates=9999", cwd=folder)
        assert second.rc == 4
        assert f"is being trained by process {first.pid}" in second.stderr


def test_a_multirun_trains_each_job(folder: Path) -> None:
    done = run_script("train", "-m", "seed=1,2", "run=sweep", *arguments(folder), "trainer.max_updates=2", cwd=folder)
    assert done.rc == 0, done.stderr
    assert sorted(path.name for path in (folder / "runs").glob("sweep*")) == ["sweep-seed-1", "sweep-seed-2"]
