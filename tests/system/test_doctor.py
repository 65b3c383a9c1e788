"""scripts/doctor.py as a user types it: a broken corpus, its cleaned copy, a training on it, and mistakes."""

import json
import shlex
from pathlib import Path

import pytest
from broken_text import Sides, clean, files
from system.scripts import run_script

WORDS = ["data=files", *(f"data.{split}.source=text/{split}.de" for split in ("train", "valid", "test"))]
WORDS += [f"data.{split}.target=text/{split}.en" for split in ("train", "valid", "test")]
SMALL = ["tokenizer=char", "encoder.hidden_size=8", "decoder.hidden_size=8", "embedding.size=8", "device=cpu"]
SMALL += ["trainer.max_updates=2", "trainer.validate_every=2", "search=greedy", "search.max_length=5"]


def broken() -> dict[str, Sides]:
    """Swapped pairs, repeated ones, a test pair in train and an escape sequence."""
    splits = clean()
    source, target = splits["train"]
    for line in range(0, 540, 20):
        source[line], target[line] = target[line], source[line]
    source[1] += "\x1b[2J"
    for side, held_out in zip((source, target), splits["test"], strict=True):
        side += [*side[102:112], held_out[7]]
    return splits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files(tmp_path / "text", broken())
    return tmp_path


def test_findings_are_reported_and_the_exit_code_is_0(folder: Path) -> None:
    done = run_script("doctor", *WORDS, "tokens=false", "json=found.json", cwd=folder)
    assert done.rc == 0, done.stderr
    assert "[serious] train: in 27 of 551 pairs (4.9%) source and target look swapped" in done.stdout
    assert "lines 1, 21, 41, 61, 81, ... of train.de and train.en" in done.stdout
    assert "[serious] test: 1 of 30 test pairs (3.3%) are also train pairs" in done.stdout
    assert "\x1b" not in done.stdout
    kinds = {finding["kind"] for finding in json.loads((folder / "found.json").read_text())["findings"]}
    assert {"swapped", "duplicates", "overlap-train", "characters"} <= kinds
    assert {path.name for path in folder.iterdir()} == {"text", "found.json", ".cache"}


@pytest.mark.slow
def test_the_printed_commands_clean_the_corpus_and_train_on_it(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in (folder / "text").iterdir()}
    report = run_script("doctor", *WORDS, *SMALL, "run=first", cwd=folder)
    assert report.rc == 0, report.stderr
    typed = shlex.split(report.stdout.rstrip("\n").split("\n")[-1])
    assert typed[:2] == ["python", "scripts/doctor.py"]
    fixed = run_script("doctor", *[word.replace("FOLDER", "fixed") for word in typed[2:]], cwd=folder)
    assert fixed.rc == 0, fixed.stderr
    assert "Wrote fixed: 513 of 551 training pairs. Left out:" in fixed.stdout
    assert {path.name: path.read_bytes() for path in (folder / "text").iterdir()} == before
    train = shlex.split(fixed.stdout.rstrip("\n").split("\n")[-1])
    assert train[:2] == ["python", "scripts/train.py"]
    trained = run_script("train", *train[2:], cwd=folder)
    assert trained.rc == 0, trained.stderr
    assert "look swapped" not in trained.stderr
    again = run_script("doctor", "run=first-clean", cwd=folder)
    assert again.rc == 0, again.stderr
    assert "train       " in again.stdout
    assert "swapped" not in again.stdout
    kept = run_script("doctor", "run=first-clean", "fix=twice", cwd=folder)
    assert "Wrote twice: 513 of 513 training pairs. Left out:\n  nothing\n" in kept.stdout
    assert "run=first-clean-clean" in kept.stdout.rstrip("\n").split("\n")[-1]


@pytest.mark.slow
def test_a_training_names_the_command(folder: Path) -> None:
    done = run_script("train", *WORDS, *SMALL, "run=first", cwd=folder)
    assert done.rc == 0, done.stderr
    lines = done.stderr.split("\n")
    place = lines.index("of 551 training pairs looked at: in 27 of 551 pairs (4.9%) source and target look swapped")
    (more,) = [line for line in lines[place:] if line.startswith("to see these lines and others: ")]
    assert shlex.split(more.partition(": ")[2]) == ["python", "scripts/doctor.py", *WORDS, *SMALL, "run=first"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([*WORDS, "fix=text"], 2, "fix=text has files already, and nothing is written over: name a new folder\n"),
        ([*WORDS, "max_ratio=0.5"], 2, "max_ratio=0.5: expected 1 or more, got 0.5\n"),
        ([*WORDS, "drop_copys=false"], 2, "drop_copys=false: no such key; did you mean drop_copies?\n"),
        (["data=fils"], 2, "data=fils: there is no data 'fils'; did you mean files?"),
        ([*WORDS[:-1], "data.test.target=text/none"], 0, ""),
        (["run=none"], 4, "run=none: there is no runs/none/config.yaml."),
        (["run=none"], 4, "For the data of a new run type data=CHOICE or experiment=NAME, too\n"),
        ([*(word.replace("train.de", "train.fr") for word in WORDS)], 3, "text/train.fr does not exist"),
    ],
)
def test_mistakes(folder: Path, words: list[str], code: int, message: str) -> None:
    done = run_script("doctor", *words, *(["tokens=false"] if "data=files" in words else []), cwd=folder)
    assert done.rc == code, done.stderr
    assert message in done.stderr
    assert code == 0 or done.stdout == ""


def test_files_that_a_training_refuses_are_a_finding(folder: Path) -> None:
    with (folder / "text/train.en").open("a") as file:
        file.write("one more\n")
    done = run_script("doctor", *WORDS, "json=found.json", cwd=folder)
    assert done.rc == 0, done.stderr
    text = "train: text/train.de has 551 lines but text/train.en has 552"
    assert f"  [serious] {text}\n" in done.stdout
    assert f"  serious  {text} -> find the line that is missing or too many\n" in done.stdout
    fixed = run_script("doctor", *WORDS, "fix=fixed", cwd=folder)
    assert fixed.rc == 3
    assert fixed.stderr.endswith("fix=fixed: the training text cannot be read; correct its files first (see above)\n")
    assert not (folder / "fixed").exists()


def test_help_says_what_the_exit_code_means(tmp_path: Path) -> None:
    done = run_script("doctor", "--help", cwd=tmp_path)
    assert (done.rc, done.stderr) == (0, "")
    assert "python scripts/doctor.py run=NAME" in done.stdout
    assert "The exit code is 0 whatever is found" in done.stdout
    assert "drop_wrong_side: true" in done.stdout
