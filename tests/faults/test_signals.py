"""Signals in every phase of a training: it saves and ends with 128 + the signal's number, or ends its work; nothing is
lost."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.conftest import Campaign, Undisturbed
from faults.injection import Call
from faults.trials import Trial

SENT = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
KIND = "dropout"
PHASES: dict[str, Callable[[Call], bool]] = {
    "preparing": lambda call: call.paths[0].startswith("cache"),
    "starting": lambda call: call.paths[0].startswith("runs/it/") and "step" not in call.paths[0],
    "saving": lambda call: "checkpoints/.tmp-step" in call.paths[0],
    "validating": lambda call: "validated" in call.paths[-1] or "best" in call.paths[-1],
}


@pytest.mark.parametrize("phase", PHASES)
def test_signals(campaign: Campaign, undisturbed: Undisturbed, phase: str, tmp_path: Path) -> None:
    wanted = campaign.trials(50, fast=1 if phase == "saving" else 0)
    whole, rng = undisturbed(KIND), random.Random(phase)
    of_phase = [number for number, call in enumerate(whole.calls) if PHASES[phase](call)]
    problems, saved = [], 0
    for number in range(wanted):
        trial, sent = Trial(whole, tmp_path / f"trial-{number}"), SENT[number % len(SENT)]
        done = trial.session(codes=[0, 128 + sent], first=rng.choice(of_phase), signal=sent)
        saved += "saved after update" in done.stderr
        trial.finish()
        problems += [f"{sent.name}: {problem}" for problem in trial.problems]
        trial.remove()
    campaign.report(f"signals while {phase}", trials=wanted, saved=saved, problems=len(problems))
    assert not problems, "\n".join(problems)
