"""A teacher writes a corpus, is killed meanwhile, continues, and a student is trained by the command that is shown."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from system.processes import started, wait_until
from system.scripts import SCRIPTS, run_script

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four"}
SMALL = [
    "device=cpu",
    "tokenizer=char",
    "embedding.size=16",
    "encoder.hidden_size=16",
    "decoder.hidden_size=32",
    "schedule=constant",
    "optimizer.lr=0.01",
    "trainer.tokens_per_update=400",
    "trainer.max_updates=30",
    "trainer.validate_every=30",
    "trainer.probes=0",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Number words, a run that translates them, and 5,000 more texts."""
    folder = tmp_path_factory.mktemp("augment")
    words = list(WORDS)
    rows = [[words[i % 4], words[i // 4 % 4], words[i // 16 % 4]][: 1 + i % 3] for i in range(200)]
    for side, of in (("de", str), ("en", WORDS.get)):
        (folder / f"train.{side}").write_text("".join(" ".join(map(of, row)) + "\n" for row in rows))
        (folder / f"valid.{side}").write_text("".join(" ".join(map(of, row)) + "\n" for row in rows[:9]))
    (folder / "texts").write_text("".join(f"{words[i % 4]} {i}\n" for i in range(5000)))
    files = [f"data.{split}.{key}={split}.{side}" for split in ("train", "valid") for key, side in SIDES]
    trained = run_script("train", "run=teacher", "data=files", *files, *SMALL, cwd=folder)
    assert trained.rc == 0, trained.stderr
    return folder


SIDES = (("source", "de"), ("target", "en"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_killed_and_continued_it_writes_the_same_files(folder: Path) -> None:
    words = ["run=teacher", "output=more", "input=texts", "search=greedy", "search.max_length=12", "drop_copies=false"]
    command = [sys.executable, str(SCRIPTS / "augment.py"), *words]
    with started(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until((folder / "more/outputs/000000.jsonl").exists, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not (folder / "more/train.source").exists()
    again = run_script("augment", *words, cwd=folder)
    assert (again.rc, again.stdout) == (0, ""), again.stderr
    assert " of 5,000 texts are translated already" in again.stderr
    found = content(folder / "more")
    (folder / "more").rename(folder / "continued")
    whole = run_script("augment", *words, cwd=folder)
    assert whole.rc == 0, whole.stderr
    assert content(folder / "more") == found
    other = run_script("augment", *words[:-2], "search.max_length=11", cwd=folder)
    assert (other.rc, other.stdout) == (2, "")
    assert "search.max_length: 12 -> 11\n" in other.stderr


def test_a_student_is_trained_by_the_command_that_is_shown(folder: Path) -> None:
    done = run_script("augment", "run=teacher", "output=tagged", "tag=<kd>", "search.max_length=12", cwd=folder)
    assert done.rc == 0, done.stderr
    line = done.stderr.rstrip("\n").split("\n")[-1]
    assert line.startswith("to train on it: python scripts/train.py --config-dir tagged data=augmented ")
    words = shlex.split(line.partition("train.py ")[2])
    small = [*SMALL, "trainer.max_updates=2", "trainer.validate_every=2"]
    small = list({word.split("=")[0]: word for word in small}.values())
    trained = run_script("train", "run=student", *words, *small, cwd=folder)
    assert trained.rc == 0, trained.stderr
    translated = run_script("translate", "run=student", cwd=folder, stdin="<kd> eins\n")
    assert (translated.rc, translated.stdout.count("\n")) == (0, 1)
