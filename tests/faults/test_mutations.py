"""A run folder whose files were changed: translations are those of the intact folder, or the change is detected; a
training continues to the same weights, or says what is wrong."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.outcomes import outcome
from faults.trainings import words
from system.scripts import run_script

from seq2seq import Translator
from seq2seq.errors import Seq2SeqError

KIND = "dropout"
SENTENCES = ["eins zwei", "drei", "sechs fünf vier drei", "zwei zwei"]
LOADED = [
    {"checkpoint": "best"}, {"checkpoint": "last"}, {"checkpoint": "average"}, {"checkpoint": "step-8"},
    {"checkpoint": "last", "precision": "int8"}, {"checkpoint": "last", "shortlist": 3},
]  # fmt: skip
PARTS = 10


def truncate(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)])


def flip(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def zero(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    start = rng.randrange(len(content))
    length = min(rng.choice([1, 16, 512, 4096]), len(content) - start)
    content[start : start + length] = bytes(length)
    file.write_bytes(content)


def delete(file: Path, rng: random.Random) -> None:
    file.unlink()


def append(file: Path, rng: random.Random) -> None:
    with file.open("ab") as stream:
        stream.write(rng.randbytes(rng.choice([1, 20, 4096])))


def swap(file: Path, rng: random.Random) -> None:
    """Exchange it with another file of its folder, as a mistyped copy does."""
    other = rng.choice(sorted(path for path in file.parent.iterdir() if path.is_file()))
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def exchange(file: Path, rng: random.Random) -> None:
    """Exchange it with the file of that name in another checkpoint."""
    others = sorted(path for path in file.parent.parent.glob(f"*/{file.name}") if path != file)
    other = rng.choice(others) if others else file
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


MUTATIONS: list[Callable[[Path, random.Random], None]] = [truncate, flip, zero, delete, append, swap, exchange]


@pytest.fixture(scope="module")
def source(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has every kind of file: also those that int8 and shortlists add."""
    whole = undisturbed(KIND)
    assert "weights" in whole.outcome
    return whole.folder


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("part", range(PARTS))
def test_changed_files(
    campaign: Campaign, source: Path, part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = campaign.trials(1000 // PARTS, fast=6 if part == 0 else 0)
    monkeypatch.chdir(source)
    right = [translations(source / "runs/it", loaded) for loaded in LOADED]
    files = sorted(path.relative_to(source) for path in (source / "runs/it").rglob("*") if path.is_file())
    files = [file for file in files if not file.is_relative_to("runs/it/best") and file.name != ".lock"]
    rng, detected, harmless, wrong = random.Random(part), 0, 0, []
    for number in range(wanted):
        changed = tmp_path / "changed"
        shutil.copytree(source / "runs/it", changed, symlinks=True)
        file, mutate = files[(part + PARTS * number) % len(files)], rng.choice(MUTATIONS)
        mutate(changed / file.relative_to("runs/it"), rng)
        found = False
        for loaded, expected in rng.sample([*zip(LOADED, right, strict=True)], 3):
            try:
                if translations(changed, loaded) != expected:
                    wrong.append(f"{mutate.__name__} {file}, {loaded}")
            except Seq2SeqError:
                found = True
        detected, harmless = detected + found, harmless + (not found)
        shutil.rmtree(changed)
    campaign.report(
        f"changed files of a run, translating, part {part + 1}",
        trials=wanted, detected=detected, harmless=harmless, wrong_results=len(wrong),
    )  # fmt: skip
    assert not wrong, "\n".join(wrong)


def translations(run: Path, loaded: dict[str, object]) -> list[str]:
    return Translator.load(str(run), device="cpu", **loaded).translate(SENTENCES)


@pytest.mark.parametrize("part", range(2))
def test_training_continues_from_changed_files(campaign: Campaign, source: Path, part: int, tmp_path: Path) -> None:
    """Stopped at its eighth update of ten, changed, and continued."""
    wanted = campaign.trials(100, fast=2 if part == 0 else 0)
    rng, continued, refused, wrong = random.Random(part), 0, 0, []
    stopped = tmp_path / "stopped"
    shutil.copytree(source, stopped, symlinks=True)
    shutil.rmtree(stopped / "runs")
    assert run_script("train", *words(KIND, "trainer.max_updates=8"), cwd=stopped).rc == 0
    files = [path.relative_to(stopped) for path in sorted((stopped / "runs/it").rglob("*")) if path.is_file()]
    files = [file for file in files if not file.is_relative_to("runs/it/best") and file.name != ".lock"]
    shutil.copytree(stopped, tmp_path / "right", symlinks=True)
    assert run_script("train", *words(KIND), cwd=tmp_path / "right").rc == 0
    right = outcome(tmp_path / "right/runs/it")
    for number in range(wanted):
        changed = tmp_path / "changed"
        shutil.copytree(stopped, changed, symlinks=True)
        file, mutate = files[(part + 2 * number) % len(files)], rng.choice(MUTATIONS)
        mutate(changed / file, rng)
        done = run_script("train", *words(KIND), cwd=changed)
        if done.rc == 0:
            continued += 1
            left = outcome(changed / "runs/it")
            other = [name for name in ("weights", "state", "tokenizer") if left[name] != right[name]]
            wrong += [f"{mutate.__name__} {file}: other {name}" for name in other]
        else:
            refused += 1
            if done.rc not in (2, 3, 4) or "Traceback" in done.stderr:
                wrong.append(f"{mutate.__name__} {file}: exit code {done.rc}: {done.stderr[-300:]}")
        shutil.rmtree(changed)
    campaign.report(
        f"changed files of a run, training, part {part + 1}",
        trials=wanted, continued=continued, refused=refused, wrong_results=len(wrong),
    )  # fmt: skip
    assert not wrong, "\n".join(wrong)
