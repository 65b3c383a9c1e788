"""Whatever a file holds, what reads it either works or raises one of our errors, which says what is wrong."""

import logging
import random
import shutil
import traceback
from pathlib import Path

import pytest
from faults.conftest import Campaign
from faults.damage import time_limit
from faults.fuzzed_kinds import KINDS
from faults.tiny_run import copy_of, train_tiny
from marian_folder import write_folder

from seq2seq.errors import Seq2SeqError

SEED = 1


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, with an example of every other file in its folder."""
    folder = tmp_path_factory.mktemp("fuzzed")
    train_tiny(folder)
    write_folder(folder / "runs/base/marian", kind="unigram")
    for name in ("cache/text/k", "other"):
        (folder / "runs/base" / name).mkdir(parents=True)
    shutil.copy(folder / "runs/base/config.yaml", folder / "runs/base/other")
    return folder / "runs/base"


@pytest.fixture
def folder(example: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copy_of(example, tmp_path / "run")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_raise_only_our_errors(campaign: Campaign, folder: Path, kind: str) -> None:
    logging.disable(logging.CRITICAL)
    whole, total = KINDS[kind], sum(each.share for each in KINDS.values())
    path = folder / whole.name
    examples = whole.examples(folder)
    trials = campaign.trials(-(-100_000 * whole.share // total), fast=4 * whole.share)
    outcomes = {"read": 0, "refused": 0}
    crashes = []
    for number in range(trials):
        chance = random.Random(f"{kind} {SEED} {number}")
        intact = number < len(examples)
        raw = examples[number] if intact else whole.damage(chance, chance.choice(examples))
        path.unlink(missing_ok=True)
        path.write_bytes(raw)
        try:
            with time_limit():
                whole.load(path)
            outcomes["read"] += 1
        except Seq2SeqError as error:
            outcomes["refused"] += 1
            if intact or not str(error) or ("\n" in str(error).strip() and len(str(error)) > 3000):
                crashes.append(f"number {number}: refused whole, or without a message of a few lines: {error!r}")
        except BaseException:
            crashes.append(f"number {number}: {raw[:200]!r}\n{traceback.format_exc()[-1500:]}")
    campaign.report(f"files: {kind}", trials=trials, **outcomes, crashes=len(crashes))
    assert not crashes, f"seed {SEED}, {len(crashes)} of {trials}:\n" + "\n".join(crashes[:3])
