"""The means of several checkpoints: of the newest, and of the best."""

import logging
import re

import pytest
import torch
from unit.checkpoint.examples import flip, holds, put, tensors, validate

from seq2seq.checkpoint import RunFolder, load, mark_best, save, save_validated
from seq2seq.checkpoint.read import label
from seq2seq.checkpoint.selection import best_validated, evenly_spaced
from seq2seq.config.yaml_files import write_yaml
from seq2seq.errors import CheckpointError


@pytest.mark.parametrize(
    ("steps", "wanted", "averaged"),
    [
        ([500, 1000, 1500, 2000, 2500], 5, [500, 1000, 1500, 2000, 2500]),
        ([500, 1000, 1500, 2000, 2500], 3, [1500, 2000, 2500]),
        ([1300, 2000, 2500, 3000, 3500, 4000], 5, [2000, 2500, 3000, 3500, 4000]),  # 1300 is the best
        ([500, 1000, 1200, 1500, 1550, 2000, 2100], 5, [500, 1000, 1500, 2000]),  # 2100 is the last
        ([1000, 1300, 2000, 2300, 3000, 3300], 3, [1300, 2300, 3300]),
        ([100, 200, 350], 5, [200, 350]),
        ([70], 5, [70]),
        ([70, 80, 90], 1, [90]),
    ],
)
def test_averaged_checkpoints_are_evenly_spaced(steps: list[int], wanted: int, averaged: list[int]) -> None:
    assert evenly_spaced(steps, wanted) == averaged


def test_average_leaves_out_best_and_last_between_the_even_steps(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (3, 10, 20, 30, 31):
        save(run, step, {"model": {"w": torch.tensor(float(step))}, "optimizer": {}}, {"step": step})
    found = load(run, "average", average=5)
    assert (found.step, found.state, found.model["w"].item()) == (30, {"step": 30}, 20.0)
    assert "only 3 checkpoints to average, not 5" in caplog.text


def test_average_is_the_mean_of_the_newest_in_float64(run: RunFolder) -> None:
    values = [1e8, 1.0, 1.0, -1e8, 5.0]  # in float32 the ones would be lost
    for step, value in enumerate(values, start=1):
        model = {
            "w": torch.tensor([value, step]),
            "half": torch.tensor([value], dtype=torch.bfloat16),
            "n": torch.tensor(step),
        }
        save(run, step, {"model": model, "optimizer": {"exp_avg/w": torch.ones(2)}}, {"step": step})
    found = load(run, "average", average=4)
    assert (found.step, found.state, [*found.groups]) == (5, {"step": 5}, ["model"])
    assert found.model["n"] == 5
    assert found.model["w"].tolist() == pytest.approx([sum(values[1:]) / 4, 3.5], rel=1e-7)
    found = load(run, "average", average=5)
    assert found.model["w"].tolist() == pytest.approx([7 / 5, 3.0], rel=1e-7)
    assert {name: tensor.dtype for name, tensor in found.model.items()} == {
        "w": torch.float32,
        "half": torch.bfloat16,
        "n": torch.int64,
    }
    with pytest.raises(ValueError, match="average is 0"):
        load(run, "average", average=0)


def test_average_of_one_is_that_one_and_too_few_are_a_warning(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "seq2seq")
    put(run, 1, 3)
    assert holds(load(run, "average", average=1), 3)
    assert not caplog.messages
    assert torch.equal(load(run, "average", average=5).model["w"], tensors(2)["w"])
    assert caplog.messages == ["run demo has only 2 checkpoints to average, not 5"]


def test_checkpoints_that_cannot_be_averaged_are_reported(run: RunFolder) -> None:
    put(run, 1, 2)
    save(run, 3, {"model": {"w": torch.ones(2), "n": torch.tensor(1)}, "optimizer": {}}, {})
    with pytest.raises(CheckpointError, match=r"step-2/model.safetensors: w has another shape than in .*step-3"):
        load(run, "average", average=2)
    save(run, 4, {"model": {"w": torch.ones(2)}, "optimizer": {}}, {})
    with pytest.raises(CheckpointError, match=r"step-3/model.safetensors does not have the tensors of .*step-4"):
        load(run, "average", average=2)
    flip(run.checkpoint(4) / "model.safetensors", 600)
    with pytest.raises(CheckpointError, match=r"step-4/model.safetensors is broken"):
        load(run, "average", average=1)


@pytest.mark.parametrize(
    ("keys", "averaged"),
    [
        ({"keep_last": 3, "save_every": "auto"}, [1, 2, 3, 4, 5]),  # an older run: all that is there
        ({"keep_last": 3, "save_every": "auto", "keep_best": 1}, [1, 2, 3, 4, 5]),
        ({"keep_last": 3, "save_every": "auto", "keep_best": 5}, [23, 30]),
        ({"keep_last": 2, "save_every": 10, "keep_best": 5}, [20, 30]),
        ({"keep_last": 3, "save_every": 5, "keep_best": 5}, [20, 25, 30]),
    ],
)
def test_average_leaves_out_what_is_kept_only_for_average_best(
    run: RunFolder, keys: dict[str, object], averaged: list[int]
) -> None:
    newer = [20, 23, 30] if keys["save_every"] == "auto" else [20, 25, 30]
    put(run, 1, 2, 3, 4, 5, *newer)
    mark_best(run, 3)
    write_yaml({"trainer": keys}, run.config_file)
    mean = sum(averaged) / len(averaged)
    found = load(run, "average", average=5)
    assert (found.step, found.model["w"][0, 0].item()) == (averaged[-1], pytest.approx(mean))


@pytest.mark.parametrize(
    ("scores", "wanted", "best"),
    [
        ({1: 1, 2: 3, 4: 2, 5: 0.5}, 3, [2, 4, 1]),
        ({1: 1, 2: 3, 4: 2, 5: 0.5}, 9, [2, 4, 1, 5]),
        ({1: 2, 2: 2, 5: 2}, 2, [1, 2]),  # of equal ones the earlier
        ({1: float("-inf"), 5: -3}, 2, [5, 1]),
        ({4: 2}, 5, [4]),
        ({}, 2, []),
    ],
)
def test_the_best_validated_are_averaged(
    run: RunFolder, scores: dict[int, float], wanted: int, best: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    put(run, 1, 2, 3, 4, 5)
    for step, score in scores.items():
        validate(run, step, score)
    assert best_validated(run, wanted) == best
    if best:
        found = load(run, "average-best", average=wanted)
        assert found.step == found.state["step"] == max(best)
        assert found.model["w"].unique().tolist() == pytest.approx([sum(best) / len(best)])
        of_them = "checkpoint" if len(best) == 1 else "checkpoints"
        few = (
            f"run demo has only {len(best)} validated {of_them} to average, not {wanted}; "
            "a run keeps trainer.keep_best of them"
        )
        assert [text for text in caplog.messages if "only" in text] == [few] * (len(best) < wanted)


def test_the_validated_weights_are_averaged(run: RunFolder) -> None:
    """Of a checkpoint with a moving average that is what was validated."""
    for step in (1, 2):
        groups = {"model": {"w": torch.tensor(float(step))}, "ema": {"w": torch.tensor(10.0 * step)}, "optimizer": {}}
        save(run, step, groups, {"step": step})
        validate(run, step, step)
    assert load(run, "average-best", average=2).model["w"].item() == 15
    assert load(run, "average", average=2).model["w"].item() == 1.5


def test_average_best_of_checkpoints_that_were_not_validated_is_refused(run: RunFolder) -> None:
    put(run, 1, 2)
    save_validated(run, 2, {"step": 2})  # by an older version
    line = (
        "run demo has no checkpoint=average-best: none was validated, or only by an older version, which did not store "
        "the scores; there are: last, average, step-1, step-2"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(line)}$"):
        load(run, "average-best")
    validate(run, 1, 1.0)
    with pytest.raises(CheckpointError, match="there are: last, average, average-best, step-1, step-2"):
        load(run, "step-3")


def test_damage_to_an_averaged_checkpoint_is_reported(run: RunFolder) -> None:
    put(run, 1, 2)
    validate(run, 1, 1.0)
    validate(run, 2, 2.0)
    flip(run.checkpoint(1) / "model.safetensors", 600)
    with pytest.raises(CheckpointError, match=r"step-1/model.safetensors is broken"):
        load(run, "average-best", average=2)
    assert load(run, "average-best", average=1).step == 2


@pytest.mark.parametrize(
    ("which", "name"),
    [("average", "average"), ("average-best", "average-best"), ("ema", "ema"), ("best", "step-7"), ("last", "step-7")],
)
def test_reports_name_a_mean_and_the_step_of_others(which: str, name: str) -> None:
    assert label(which, 7) == name
