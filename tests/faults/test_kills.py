"""A training that is killed at any call to the file system, or at any time, continues as if it had never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.outcomes import damaged, differences, outcome
from faults.trainings import KINDS, words, write_texts
from faults.trials import Trial
from system.processes import started, with_descendants
from system.scripts import SCRIPTS

KILLED = -signal.SIGKILL
AT_CALLS, AT_TIMES = 13, 5  # of each kind of training: together 108 trials


def seeds(kind: str) -> random.Random:
    """The trials of a kind are the same each time."""
    return random.Random(list(KINDS).index(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_calls_to_the_file_system(
    campaign: Campaign, undisturbed: Undisturbed, kind: str, tmp_path: Path
) -> None:
    """Up to three kills, one after the other; the first is spread over all calls of the training."""
    wanted = campaign.trials(AT_CALLS, fast=1 if kind == "dropout" else 0)
    whole, rng = undisturbed(kind), seeds(kind)
    problems, kills = [], 0
    for number in range(wanted):
        trial = Trial(whole, tmp_path / f"trial-{number}")
        calls = len(whole.calls)
        first = rng.randrange(calls * number // wanted, calls * (number + 1) // wanted)
        for at in [first, *(rng.randrange(calls) for _ in range(number % 3))]:
            kills += trial.session(codes=[KILLED, 0], first=at).rc == KILLED
        trial.finish()
        problems += trial.problems
        trial.remove()
    report(campaign, f"kill -9 at a call, {kind}", wanted, kills, problems)


@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_times(campaign: Campaign, undisturbed: Undisturbed, kind: str, tmp_path: Path) -> None:
    wanted = campaign.trials(AT_TIMES, fast=0)
    whole, rng = undisturbed(kind), seeds(kind)
    problems, kills = [], 0
    for number in range(wanted):
        trial = Trial(whole, tmp_path / f"trial-{number}")
        after = whole.seconds * (number + rng.random()) / wanted
        kills += trial.session(codes=[KILLED, 0], killed_after=after).rc == KILLED
        trial.finish()
        problems += trial.problems
        trial.remove()
    report(campaign, f"kill -9 at a time, {kind}", wanted, kills, problems)


def test_kills_of_two_processes(campaign: Campaign, tmp_path: Path) -> None:
    """One or all processes of a run under torchrun are killed at a random time."""
    wanted, rng, problems, kills = campaign.trials(8, fast=0), random.Random(0), [], 0
    whole = tmp_path / "whole"
    write_texts(whole)
    began = time.monotonic()
    assert torchrun(whole) == 0
    seconds = time.monotonic() - began
    for number in range(wanted):
        folder = tmp_path / f"trial-{number}"
        write_texts(folder)
        code = torchrun(folder, after=seconds * (0.4 + 0.6 * rng.random()), only_one=number % 2 == 0)
        kills += code != 0
        problems += [f"damaged {name}" for name in damaged(folder / "runs/it")]
        if code := torchrun(folder):
            problems.append(f"manual repair: exit code {code}")
        else:
            problems += differences(outcome(whole / "runs/it"), outcome(folder / "runs/it"))
    report(campaign, "kill -9 of one or both of two processes", wanted, kills, problems)


def torchrun(folder: Path, after: float | None = None, *, only_one: bool = False) -> int:
    """Train with two processes; after some seconds, kill one of them or everything. Returns the exit code."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(SCRIPTS / "train.py")]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with started([*command, *words("dropout")], cwd=folder, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            family = with_descendants(process.pid)
            for pid in family[-1:] if only_one else family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return process.wait(120)


def report(campaign: Campaign, name: str, trials: int, kills: int, problems: list[str]) -> None:
    """A row of the table; fails where there are problems."""
    lost = [problem for problem in problems if problem.startswith(("damaged", "step"))]
    repairs = [problem for problem in problems if problem.startswith("manual")]
    campaign.report(
        name, trials=trials, kills=kills, checkpoints_lost=len(lost), manual_repairs=len(repairs),
        mismatches=len(problems) - len(lost) - len(repairs),
    )  # fmt: skip
    assert not problems, "\n".join(problems)
