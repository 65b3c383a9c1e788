"""Saving checkpoints and loading them by name."""

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import torch
from unit.checkpoint.examples import holds, names, put, tensors, validate

from seq2seq.checkpoint import RunFolder, latest_intact, load, mark_best, prune, read, save, weights
from seq2seq.errors import CheckpointError


def test_saved_checkpoint_is_loaded_unchanged(run: RunFolder) -> None:
    state = {"epoch": 3, "nested": {"list": [1, 2.5, None, "ü\u2028"]}, "best": 0.1 + 0.2}
    path = save(run, 7, {"model": tensors(7), "optimizer": {"exp_avg/w": tensors(1)["w"]}}, state)
    assert path == run.checkpoint(7)
    found = load(run, "step-7")
    assert (found.step, found.state) == (7, state)
    assert torch.equal(found.model["w"], tensors(7)["w"])
    assert torch.equal(found.groups["optimizer"]["exp_avg/w"], tensors(1)["w"])
    assert load(run, "step-7", ["model"]).groups.keys() == {"model"}


def test_folder_has_tensors_json_and_a_manifest_with_equal_permissions(run: RunFolder) -> None:
    put(run, 1)
    files = sorted(run.checkpoint(1).iterdir())
    assert [file.name for file in files] == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    assert len({file.stat().st_mode for file in files}) == 1
    manifest = json.loads(files[0].read_text())
    assert manifest["step"] == 1
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        file.name: file.stat().st_size for file in files[1:]
    }


def test_names(run: RunFolder) -> None:
    put(run, 10, 9, 200)
    mark_best(run, 10)
    for which, step in [("best", 10), ("last", 200), ("step-9", 9), ("step-200", 200)]:
        assert holds(load(run, which), step)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("lst", "no checkpoint=lst: did you mean last?"),
        ("step-11", "no checkpoint=step-11: did you mean step-10?"),
        ("best", "no checkpoint=best: there are: last, average, step-10$"),
        ("zzz", "no checkpoint=zzz: there are: last"),
    ],
)
def test_wrong_name_is_reported_with_the_existing_ones(run: RunFolder, which: str, message: str) -> None:
    put(run, 10)
    with pytest.raises(CheckpointError, match=message):
        load(run, which)


@pytest.mark.parametrize("which", ["best", "last", "average", "step-1"])
def test_a_run_without_checkpoints(run: RunFolder, which: str) -> None:
    with pytest.raises(CheckpointError, match="run demo has no checkpoint yet"):
        load(run, which)
    assert latest_intact(run) is None


def test_a_step_saved_again_is_replaced(run: RunFolder) -> None:
    put(run, 5)
    save(run, 5, {"model": tensors(6), "optimizer": {}}, {"new": True})
    assert torch.equal(load(run, "step-5").model["w"], tensors(6)["w"])
    assert names(run) == ["step-5"]


# How many files are hashed or opened: two groups and a state, or the models and the states of two checkpoints.
READS = {"last": 5, "average": 6, "average-best": 6, "best": 5, "step-2": 5}


def before_each_read(monkeypatch: pytest.MonkeyPatch, call: Callable[[int], None]) -> None:
    """Call it with the read's number, from 0."""
    numbers = count()

    def after_call(read: Any) -> Any:
        def called(*arguments: Any, **others: Any) -> Any:
            call(next(numbers))
            return read(*arguments, **others)

        return called

    for module, name in ((read, "sha256"), (read, "load_file"), (weights, "safe_open")):
        monkeypatch.setattr(module, name, after_call(getattr(module, name)))


def put_validated(run: RunFolder, *steps: int) -> None:
    """The last one is the best."""
    put(run, *steps)
    for step in steps:
        validate(run, step, step)
    mark_best(run, steps[-1])


@pytest.mark.parametrize("which", READS)
def test_the_number_of_reads_of_a_load(run: RunFolder, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    put_validated(run, 1, 2)
    numbers: list[int] = []
    before_each_read(monkeypatch, numbers.append)
    load(run, which, average=2)
    assert len(numbers) == READS[which]


@pytest.mark.parametrize(("which", "moment"), [(which, moment) for which in READS for moment in range(READS[which])])
def test_training_may_save_and_prune_during_a_load(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, which: str, moment: int
) -> None:
    """Before one of the reads (a hash, a tensor file) the old checkpoints are deleted and two others are saved."""
    put_validated(run, 1, 2)

    def train(number: int) -> None:
        if number == moment:
            put_validated(run, 3, 4)
            prune(run, 2)

    before_each_read(monkeypatch, train)
    if which == "step-2":
        with pytest.raises(CheckpointError, match="no checkpoint=step-2"):
            load(run, which)
    else:
        found = load(run, which, average=2)
        assert found.step == 4
        assert (found.model["w"] == (3.5 if which in ("average", "average-best") else 4)).all()
    assert names(run) == ["step-3", "step-4"], "the moment came"


def test_load_waits_for_a_checkpoint_that_is_being_replaced(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1)
    aside = run.checkpoints / ".old-step-1"
    run.checkpoint(1).rename(aside)
    monkeypatch.setattr(time, "sleep", lambda _: aside.rename(run.checkpoint(1)))
    assert holds(load(run, "last"), 1)


def test_load_does_not_wait_for_a_broken_checkpoint(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("there is nothing to wait for"))
    (run.checkpoint(1) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"state\.json cannot be read: No such file"):
        load(run, "last")


def test_each_group_is_a_file_in_the_manifest(run: RunFolder) -> None:
    groups = {"model": tensors(1), "optimizer": {}, "ema": tensors(2)}
    path = save(run, 1, groups, {"step": 1})
    assert "ema.safetensors" in json.loads((path / "manifest.json").read_text())["files"]
    found = load(run, "last")
    assert [*found.groups] == ["model", "optimizer", "ema"]
    assert torch.equal(found.group("ema")["w"], tensors(2)["w"])
    assert torch.equal(load(run, "average", average=1).model["w"], tensors(1)["w"])
    (path / "ema.safetensors").unlink()
    assert holds(load(run, "last", ["model"]), 1)
    with pytest.raises(CheckpointError, match=r"ema\.safetensors cannot be read"):
        load(run, "last")


def test_missing_group_is_reported(run: RunFolder) -> None:
    put(run, 3)
    with pytest.raises(
        CheckpointError, match=r"step 3 was saved without ema\.safetensors: it cannot continue with that"
    ):
        load(run, "last").group("ema")
    with pytest.raises(CheckpointError, match=r"manifest\.json is broken: it does not list ema\.safetensors"):
        load(run, "last", ["model", "ema"])
