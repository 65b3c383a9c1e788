"""Updates that are not finite: skipping one changes nothing but its number, and repeating it shows what was wrong."""

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file
from small_runs import same, settings, weights
from unit.training.broken_updates import Part, broken
from unit.training.moving_average import MovingAverage, averages

from seq2seq.config.schema import TrainSettings
from seq2seq.errors import CheckpointError, ConfigError, DataError, NonFiniteLossError
from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.training import update as update_module
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.training.replay import replay, replay_command
from seq2seq.training.run import train

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")

EACH = ("trainer.save_every=1", "trainer.validate_every=12", "trainer.log_every=1", "trainer.keep_last=12")
DROPOUT = ("encoder.dropout=0.3", "decoder.dropout=0.3")
SHORT = (*EACH, *DROPOUT, "trainer.max_updates=6", "trainer.ema=0.9")


def lines(run: str) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock and the machine."""
    found = [json.loads(line) for line in Path("runs", run, "metrics.jsonl").read_text().split("\n")[:-1]]
    measured = {"train/tokens_per_second", "train/seconds_per_update", "train/peak_memory"}
    return [{key: value for key, value in line.items() if key not in measured} for line in found]


def all_tensors(run: str, step: int) -> dict[str, torch.Tensor]:
    """The weights, the optimizer's state and the moving average of a checkpoint."""
    average = load_file(Path("runs", run, "checkpoints", f"step-{step}", "ema.safetensors"))
    return weights(run, step) | {f"ema/{name}": tensor for name, tensor in average.items()}


def record_of(run: str, update: int) -> dict[str, Any]:
    return json.loads(Path(f"runs/{run}/nonfinite/step-{update}.json").read_text())


@contextmanager
def deferring() -> Iterator[None]:
    """As on a GPU: whether a step is skipped is decided by the optimizer's kernel, and read when metrics are."""

    def made(*arguments: Any, **more: Any) -> OptimizerStep:
        return OptimizerStep(*arguments, **more | {"defers": True})

    with mock.patch.object(update_module, "OptimizerStep", made):
        yield


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(("part", "value"), [("loss", math.nan), ("loss", math.inf), ("gradient", -math.inf)])
def test_a_skipped_update_changes_nothing(part: Part, value: float, optimizer: str) -> None:
    words = (*SHORT, f"optimizer={optimizer}")
    with broken({3}, part=part, value=value):
        train(settings("skips", *words), step_hooks=[MovingAverage])
    assert same(all_tensors("skips", 2), all_tensors("skips", 3))
    assert not same(all_tensors("skips", 3), all_tensors("skips", 4))
    assert same(averages("skips", 2), averages("skips", 3))
    assert averages("skips", 6)["calls"] == 5
    assert all(tensor.isfinite().all() for tensor in all_tensors("skips", 6).values())
    states = [json.loads(Path(f"runs/skips/checkpoints/step-{n}/state.json").read_text()) for n in (2, 3, 4)]
    assert [state["position"] for state in states] == [2, 3, 4]
    assert [(state["skipped"], state["skipped_in_a_row"]) for state in states] == [(0, 0), (1, 1), (1, 0)]


def test_a_bad_first_update_leaves_the_initial_weights() -> None:
    with broken({1}):
        train(settings("first", *SHORT))
    assert same(weights("first", 1), load_file(Path("runs/first/checkpoints/step-1/model.safetensors")))
    assert not load_file(Path("runs/first/checkpoints/step-1/optimizer.safetensors"))


@pytest.mark.parametrize("bad", [{3}, {4, 5}])
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(bad: set[int]) -> None:
    """Whether it is continued just before, at or after what was skipped."""
    with broken(bad):
        train(settings("whole", *SHORT))
        for updates in (2, 3, 4, 6):
            train(settings("parts", *SHORT, f"trainer.max_updates={updates}", "trainer.validate_every=6"))
    assert same(all_tensors("whole", 6), all_tensors("parts", 6))
    whole, parts = ([line for line in lines(run) if "train/lr" in line] for run in ("whole", "parts"))
    assert whole == parts


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_what_the_device_decides_is_what_is_decided_at_once(part: Part) -> None:
    words = (*SHORT, "trainer.log_every=3", "trainer.save_every=2")
    with broken({3, 5}, part=part):
        train(settings("once", *words), step_hooks=[MovingAverage])
        with deferring():
            train(settings("later", *words), step_hooks=[MovingAverage])
    assert same(weights("once", 6), weights("later", 6))
    assert same(averages("once", 6), averages("later", 6))
    once, later = all_tensors("once", 6), all_tensors("later", 6)
    assert all(torch.allclose(once[name], later[name], rtol=1e-5, atol=1e-8) for name in once)
    assert lines("once") == lines("later")
    states = [json.loads(Path(f"runs/{run}/checkpoints/step-6/state.json").read_text()) for run in ("once", "later")]
    assert [state["skipped"] for state in states] == [2, 2]


@pytest.mark.parametrize("at_once", [True, False])
def test_means_leave_skipped_updates_out(at_once: bool) -> None:
    """Windows of two updates; of the third window nothing is left but speed and learning rate."""
    with broken({2, 5, 6}), mock.patch.object(update_module, "OptimizerStep", OptimizerStep):
        if at_once:
            train(settings("curve", *SHORT, "trainer.log_every=2"))
        else:
            with deferring():
                train(settings("curve", *SHORT, "trainer.log_every=2"))
        train(settings("single", *SHORT))
    text = Path("runs/curve/metrics.jsonl").read_text()
    assert "NaN" not in text and "null" not in text
    windows = [line for line in lines("curve") if "train/lr" in line]
    single = {line["update"]: line for line in lines("single") if "train/lr" in line}
    for tag in ("train/loss", "train/nll", "train/grad_norm"):
        assert windows[0][tag] == single[1][tag]
        assert tag not in windows[2]
    assert [line.get("train/skipped") for line in windows] == [1, 1, 3]
    assert "train/skipped" not in single[1]


def test_too_many_in_a_row_end_the_run() -> None:
    words = (*SHORT, "trainer.max_skipped=2", "trainer.save_every=3")
    message = (
        r"2 updates in a row were skipped \(trainer.max_skipped\), the last one: update 5: the loss is nan and the "
        r"gradient norm nan, at learning rate .* the last checkpoint is step-3. Try a lower .* replay=5 repeats"
    )
    with broken({2, 4, 5}), pytest.raises(NonFiniteLossError, match=message) as ended:
        train(settings("hopeless", *words))
    assert ended.value.exit_code == 6
    with broken({2, 4, 5}), deferring(), pytest.raises(NonFiniteLossError, match=r"2 updates in a row .* update 5: "):
        train(settings("hopeless-later", *words))


def test_the_limit_in_a_row_counts_beyond_a_continuation() -> None:
    with broken({3, 4}):
        train(settings("row", *SHORT, "trainer.max_skipped=2", "trainer.max_updates=3"))
        with pytest.raises(NonFiniteLossError, match="2 updates in a row"):
            train(settings("row", *SHORT, "trainer.max_skipped=2"))


def test_the_warning_and_the_record_name_the_update(caplog: pytest.LogCaptureFixture) -> None:
    with broken({4}, value=math.inf), caplog.at_level(logging.WARNING):
        train(settings("told", *SHORT, "trainer.save_every=2"))
    warnings = [text for text in caplog.messages if "skipped" in text]
    assert warnings == [
        "update 4 is skipped: its loss is inf and its gradient norm nan. runs/told/nonfinite/step-4.json has its "
        "pairs; the same command with replay=4 repeats it"
    ]
    record = record_of("told", 4)
    assert record["update"] == 4 and record["checkpoint"] == 2
    assert (record["epoch"], record["position"], record["seed"]) == (0, 3, 1)
    assert (record["loss"], record["grad_norm"]) == ("inf", "nan")
    assert len(record["pairs"]) == len(record["lines"]) > 1
    assert (record["processes"], record["device"], record["precision"]) == (1, "cpu", "fp32")


def test_a_record_that_cannot_be_written_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    Path("elsewhere").mkdir()
    train(settings("full", *SHORT, "trainer.max_updates=2"))
    Path("runs/full/nonfinite").symlink_to(Path("elsewhere").resolve())
    with broken({4}), caplog.at_level(logging.WARNING):
        train(settings("full", *SHORT))
    assert any("Its pairs could not be written down (cannot write runs/full/nonfi" in text for text in caplog.messages)
    assert not list(Path("elsewhere").iterdir())
    assert Path("runs/full/checkpoints/step-6").is_dir()


def test_an_older_run_stops() -> None:
    """Its config.yaml has no such key."""
    train(settings("older", *SHORT, "trainer.max_updates=2"))
    config = Path("runs/older/config.yaml")
    kept = [line for line in config.read_text().split("\n") if "on_nonfinite" not in line and "max_skipped" not in line]
    config.write_text("\n".join(kept[1:]))
    from seq2seq.config.stored_run import read_config

    assert read_config(config)["trainer"]["on_nonfinite"] == "stop"


# Repeating an update

BAD_PAIR = 17


@contextmanager
def bad_pair(pair: int) -> Iterator[None]:
    """The loss of each batch with this pair is NaN."""
    compute = CrossEntropy.__call__

    def losses(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        found = compute(self, model, batch)
        return replace(found, total=found.total * math.nan) if pair in batch.pair_ids.tolist() else found

    with mock.patch.object(CrossEntropy, "__call__", losses):
        yield


def again(run: str, update: str, *words: str) -> TrainSettings:
    """The same command with replay=UPDATE."""
    return replace(settings(run, *words), replay=update)


def contents(run: str) -> dict[str, bytes]:
    files = [path for path in Path("runs", run).rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): path.read_bytes() for path in files}


def test_a_replay_finds_the_pair_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bad_pair(BAD_PAIR):
        train(settings("pair", *SHORT))
        (record,) = Path("runs/pair/nonfinite").iterdir()
        number = json.loads(record.read_text())["update"]
        before = contents("pair")
        found = replay(again("pair", str(number), *SHORT))
        replay_command(again("pair", str(record), *SHORT))
    assert contents("pair") == before
    assert found is not None and found.update == number
    assert math.isnan(found.loss) and math.isnan(found.norm)
    assert len(found.parameters) == found.trained
    (line,) = found.lines
    record_lines = json.loads(record.read_text())
    assert line == dict(zip(record_lines["pairs"], record_lines["lines"], strict=True))[BAD_PAIR]
    first, second, third = capsys.readouterr().out.split("\n")[:-1]
    assert first.startswith(f"update {number}, repeated from step-{number - 1}: loss nan, gradient norm nan")
    assert second == f"gradients that are not finite: all, of {found.trained} parameters"
    assert third.endswith(f"by their line of the training text: line {line} (loss nan)")


@pytest.mark.parametrize("update", [1, 4, 6])
def test_a_replay_repeats_an_update_exactly(update: int) -> None:
    """Any update: its loss and gradient norm are those that were logged, from a checkpoint or from the beginning."""
    words = (*SHORT, "trainer.save_every=2", "trainer.keep_last=2", "trainer.keep_best=1", "trainer.average=1")
    with broken({3}):
        train(settings("exact", *words))
        found = replay(again("exact", str(update), *words))
    logged = {line["update"]: line for line in lines("exact") if "train/lr" in line}
    assert found is not None
    assert (found.loss, found.norm) == (logged[update]["train/loss"], logged[update]["train/grad_norm"])
    assert not found.parameters and not found.lines
    assert "every gradient is finite" in found.report() and found.report().endswith("training text: none\n")


def test_a_replay_names_the_parameter(caplog: pytest.LogCaptureFixture) -> None:
    with broken({3}, part="gradient"):
        train(settings("gradient", *SHORT))
        record = Path("runs/gradient/nonfinite/step-3.json")
        record.write_text(json.dumps(json.loads(record.read_text()) | {"processes": 2}))
        found = replay(again("gradient", "3", *SHORT))
    assert found is not None and len(found.parameters) == 1 < found.trained
    assert f"not finite: {found.parameters[0]} (of {found.trained} parameters)" in found.report()
    assert "update 3 is not repeated exactly: processes was 2, is 1" in caplog.messages


def test_what_cannot_be_repeated() -> None:
    with broken({3}):
        train(settings("odd", *SHORT))
    record = Path("runs/odd/nonfinite/step-3.json")
    right = json.loads(record.read_text())
    for text, message in {
        "[": "step-3.json is not JSON",
        "{}": "is no record of an update",
        json.dumps(right | {"pairs": [1]}): "the record of update 3 is of other pairs",
    }.items():
        record.write_text(text)
        with pytest.raises(DataError, match=message):
            replay(again("odd", "3", *SHORT))
    with pytest.raises(DataError, match=r"replay: gone.json cannot be read: No such file"):
        replay(again("odd", "gone.json", *SHORT))
    with pytest.raises(ConfigError, match="counted from 1"):
        replay(again("odd", "0", *SHORT))
    with pytest.raises(CheckpointError, match="there is no run in runs/none"):
        replay(again("none", "3", *SHORT))
    with pytest.raises(ConfigError, match="only the command train repeats an update"):
        train(again("odd", "3", *SHORT))
