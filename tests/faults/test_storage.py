"""Calls to the file system that fail: what was saved stays whole, and once the disk works again the run continues as if
nothing had happened."""

import errno
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.trials import Trial

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.ENOENT, errno.EACCES]
CODES = [0, 3, 4, 5]  # a failing cache is an error of the data for some readers
FOREVER = 10**9
PARTS = 8  # of the calls, for several processes
KIND = "dropout"


@pytest.mark.parametrize("part", range(PARTS))
def test_calls_that_fail(campaign: Campaign, undisturbed: Undisturbed, part: int, tmp_path: Path) -> None:
    """Each call fails once in turn; of every second one, all calls from there on fail, too."""
    few = campaign.trials(0, fast=2 if part == 0 else 0)
    whole = undisturbed(KIND)
    calls = range(len(whole.calls))
    chosen = [*calls][part::PARTS] if campaign.whole else random.Random(0).sample(calls, few)
    problems, ended = [], 0
    for number, first in enumerate(chosen):
        trial = Trial(whole, tmp_path / f"trial-{number}")
        last = FOREVER if number % 2 else first
        ended += trial.session(codes=CODES, first=first, last=last, error=ERRORS[number % len(ERRORS)]).rc != 0
        trial.finish()
        problems += [f"call {first} to {last}, {whole.calls[first]}: {problem}" for problem in trial.problems]
        trial.remove()
    campaign.report(
        f"failing calls, part {part + 1}", trials=len(chosen), ended_with_exit_code=ended, problems=len(problems)
    )
    assert not problems, "\n".join(problems)


def test_a_small_disk(campaign: Campaign, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A file system of its own, from one that holds nothing to one that holds everything; then it is enlarged."""
    sizes = range(48, 48 + 24 * campaign.trials(24, fast=1), 24)  # kilobytes, after the texts
    whole = undisturbed(KIND)
    problems, ended = [], 0
    for size in sizes if campaign.whole else [300]:
        folder = tmp_path / f"disk-{size}"
        folder.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder], capture_output=True
        ).returncode:
            pytest.skip("file systems cannot be mounted here")
        try:
            trial = Trial(whole, folder / "it")
            ended += trial.session(codes=CODES).rc != 0
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            trial.finish()
            problems += [f"{size} kB: {problem}" for problem in trial.problems]
        finally:
            subprocess.run(["umount", folder], check=True)
    campaign.report("small disks", trials=len(sizes), ended_with_exit_code=ended, problems=len(problems))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("gone", ["runs", "runs/it/checkpoints", "cache"])
def test_a_folder_that_vanishes(campaign: Campaign, undisturbed: Undisturbed, gone: str, tmp_path: Path) -> None:
    """While the training runs; it is there again afterwards, as a network folder that was away for a while."""
    wanted = campaign.trials(10, fast=0)
    whole = undisturbed(KIND)
    begun = next(number for number, call in enumerate(whole.calls) if call.paths[0].startswith(f"{gone}/"))
    problems, ended = [], 0
    for number in range(wanted):
        trial = Trial(whole, tmp_path / f"trial-{number}")
        path, aside = trial.folder / gone, trial.folder / "aside"
        first = begun + 1 + (len(whole.calls) - begun - 1) * number // wanted
        done = trial.session(codes=CODES, first=first, moved=(path, aside), look=False)
        ended += done.rc != 0
        if aside.exists():
            shutil.rmtree(path, ignore_errors=True)
            aside.rename(path)
        trial.look()
        trial.finish()
        problems += [f"call {first}: {problem}" for problem in trial.problems]
    campaign.report(f"vanished {gone}", trials=wanted, ended_with_exit_code=ended, problems=len(problems))
    assert not problems, "\n".join(problems)
