"""A training that is killed at any call to the file system, or at any time, continues as if it had never stopped."""

import random
import signal
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.trainings import KINDS
from faults.trials import Trial

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
    wanted = campaign.trials(AT_CALLS, fast=2 if kind == "dropout" else 0)
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


def report(campaign: Campaign, name: str, trials: int, kills: int, problems: list[str]) -> None:
    """A row of the table; fails where there are problems."""
    lost = [problem for problem in problems if problem.startswith(("damaged", "step"))]
    repairs = [problem for problem in problems if problem.startswith("manual")]
    campaign.report(
        name, trials=trials, kills=kills, checkpoints_lost=len(lost), manual_repairs=len(repairs),
        mismatches=len(problems) - len(lost) - len(repairs),
    )  # fmt: skip
    assert problems == []
