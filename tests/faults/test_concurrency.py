"""Several processes at once: one cache, one trainer of a run, and readers beside it."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.injection import Fault, recorded
from faults.outcomes import outcome
from faults.trainings import words, write_texts
from system.processes import started, wait_until
from system.scripts import SCRIPTS, run_script

from seq2seq import Translator

KIND = "dropout"
AT_ONCE = 8


def test_trainings_that_begin_at_once_share_one_cache(
    campaign: Campaign, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    rounds = campaign.trials(5, fast=0)
    whole, other, builds = undisturbed(KIND), 0, 0
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_texts(folder)

        def trained(run: int, folder: Path = folder) -> bool:
            prepare = Fault(folder, folder / f"record-{run}")
            done = run_script("train", *words(KIND, f"run=it{run}"), cwd=folder, prepare=prepare)
            left = outcome(folder / f"runs/it{run}") if done.rc == 0 else {}
            return bool(left) and all(left[name] == whole.outcome[name] for name in ("weights", "metrics", "tokenizer"))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            other += [*pool.map(trained, range(AT_ONCE))].count(False)
        entries = [path for path in (folder / "cache").glob("*/*") if not path.name.startswith(".")]
        made = [
            call
            for run in range(AT_ONCE)
            for call in recorded(folder / f"record-{run}")
            if call.name == "os.rename" and call.paths[0].startswith("cache/") and "/." in call.paths[0]
        ]
        builds += len(made) - len(entries)
    campaign.report(f"{AT_ONCE} trainings at once", trials=rounds, other_results=other, entries_built_again=builds)
    assert (other, builds) == (0, 0)


def test_a_second_training_of_a_run_says_who_has_it(campaign: Campaign, tmp_path: Path) -> None:
    attempts = campaign.trials(10, fast=1)
    write_texts(tmp_path)
    long = words(KIND, "trainer.max_updates=99999", "trainer.save_every=1")
    with started([sys.executable, str(SCRIPTS / "train.py"), *long], cwd=tmp_path, stderr=subprocess.DEVNULL) as first:
        wait_until((tmp_path / "runs/it/checkpoints").exists, first)
        done = [run_script("train", *long, cwd=tmp_path) for _ in range(attempts)]
        named = sum(found.rc == 4 and f"is being trained by process {first.pid} on " in found.stderr for found in done)
        assert first.poll() is None
    campaign.report("second trainings of a run", trials=attempts, refused=named)
    assert named == attempts


@pytest.mark.usefixtures("without_shape_checks")
def test_readers_beside_a_training(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves after every update, and removes all but two checkpoints."""
    wanted = campaign.trials(200, fast=5)
    write_texts(tmp_path)
    monkeypatch.chdir(tmp_path)
    often = ["trainer.max_updates=99999", "trainer.save_every=1", "trainer.validate_every=2", "trainer.keep_last=2"]
    command = [sys.executable, str(SCRIPTS / "train.py"), *words(KIND, *often, "trainer.keep_best=1")]
    failures = []
    with started(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as training:
        wait_until((tmp_path / "runs/it/best").exists, training)
        began = newest(tmp_path)
        for number in range(wanted):
            which = ("best", "last", "average")[number % 3]
            try:
                if number % 10 == 9:
                    done = run_script(
                        "evaluate", "run=it", "split=valid", "bootstrap=0", f"checkpoint={which}", cwd=tmp_path
                    )
                    assert done.rc == 0, done.stderr
                else:
                    assert len(Translator.load("it", device="cpu", checkpoint=which).translate(["eins"])) == 1
            except Exception as error:
                failures.append(f"{which}: {error}")
        while newest(tmp_path) == began:  # it did train meanwhile
            assert training.poll() is None
            time.sleep(0.1)
    campaign.report("readers beside a training", trials=wanted, failures=len(failures))
    assert failures == []


def newest(folder: Path) -> int:
    return max(int(path.name.removeprefix("step-")) for path in (folder / "runs/it/checkpoints").glob("step-*"))
