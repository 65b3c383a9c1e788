"""The training loop: micro-batches change nothing, runs resume bitwise, limits and signals end runs cleanly."""

import hashlib
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from small_runs import SMALL, evaluate_settings, same, settings, weights

from seq2seq.checkpoint import RunFolder
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    NonFiniteLossError,
    OutOfMemoryError,
    Stopped,
    StorageError,
)
from seq2seq.objective.base import Losses
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.runtime import device
from seq2seq.schedule.constant import Constant
from seq2seq.training import saving, setup, validation
from seq2seq.training import update as update_module
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.training.run import train, train_command
from seq2seq.training.state import TrainState, resumed_runtime
from seq2seq.training.trainer import Trainer
from seq2seq.training.validation import Validator

pytestmark = pytest.mark.usefixtures("in_its_own_folder")


def lines(run: str) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock and the machine."""
    found = [json.loads(line) for line in Path("runs", run, "metrics.jsonl").read_text().split("\n")[:-1]]
    return [{key: value for key, value in line.items() if key not in MEASURED} for line in found]


MEASURED = {"train/tokens_per_second", "train/seconds_per_update", "train/peak_memory"}
DROPOUT = ("encoder.dropout=0.3", "decoder.dropout=0.3", "embedding.word_dropout=0.1")


@pytest.mark.parametrize(
    "words",
    [
        (*DROPOUT, "attention=bahdanau", "decoder.attend=before", "decoder.input_feeding=true"),
        ("tokenizer=bpe", "tokenizer.sampling=0.2", "encoder=transformer", "encoder.heads=2", "encoder.dropout=0.3"),
        ("schedule=plateau", "schedule.patience=1", "optimizer=adam", "encoder.recurrent_dropout=0.2"),
        ("optimizer=muon", "decoder.dropout=0.3"),
    ],
    ids=["dropout", "sampled-segmentation", "plateau", "muon"],
)
@pytest.mark.usefixtures("without_shape_checks")
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(words: tuple[str, ...]) -> None:
    """With dropout on, mid-epoch, and between two validations."""
    train(settings("whole", *words))
    train(settings("parts", *words, "trainer.max_updates=4"))
    train(settings("parts", *words, "trainer.max_updates=8"))
    train(settings("parts", *words))
    assert same(weights("whole", 12), weights("parts", 12))
    assert lines("whole") == lines("parts")


def test_a_finished_run_that_was_killed_before_it_marked_the_best_marks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("trainer.max_updates=8", "optimizer.lr=1e-3")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        calls: list[int] = []
        mark = saving.mark_best
        patched.setattr(
            saving, "mark_best", lambda run, step: calls.append(step) or (die() if step == 8 else mark(run, step))
        )
        train(settings("unmarked", *words))
    assert calls[-1] == 8
    for left in (".tmp-best", "checkpoints/step-8/.tmp-1234"):
        Path("runs/unmarked", left).touch()
    train(settings("unmarked", *words))
    assert Path("runs/unmarked/best").readlink() == Path("checkpoints/step-8")
    assert not [*Path("runs/unmarked").rglob(".tmp-*")]


@pytest.mark.usefixtures("without_shape_checks")
def test_a_killed_run_resumes_from_its_last_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    train(settings("whole", *DROPOUT))
    step = Trainer._update

    def die_at_seven(self: Trainer, *arguments: Any) -> None:
        if self.state.update == 7:
            raise KeyboardInterrupt  # nothing is saved, as if killed
        step(self, *arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Trainer, "_update", die_at_seven)
        train(settings("killed", *DROPOUT))
    train(settings("killed", *DROPOUT))
    assert same(weights("whole", 12), weights("killed", 12))
    assert lines("whole") == lines("killed")


def test_a_run_without_its_configuration_is_not_continued() -> None:
    train(settings("bare", "trainer.max_updates=2"))
    Path("runs/bare/config.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"run bare has checkpoints and no config.yaml"):
        train(settings("bare", "trainer.max_updates=4"))
    assert Path("runs/bare/checkpoints/step-2").is_dir()


def test_a_missing_best_link_is_restored() -> None:
    still = "optimizer.lr=1e-12"  # no later validation is better, so none writes the link
    train(settings("link", still, "trainer.max_updates=4"))
    Path("runs/link/best").unlink()  # as if killed between the checkpoint and its link
    train(settings("link", still, "trainer.max_updates=5"))
    assert Path("runs/link/best/model.safetensors").is_file()


@pytest.mark.usefixtures("without_shape_checks")
def test_a_stopped_run_is_saved_and_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    train(settings("whole", *DROPOUT))
    step = Trainer._update

    def stop_at_five(self: Trainer, *arguments: Any) -> None:
        step(self, *arguments)
        if self.state.update == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched, pytest.raises(Stopped) as stopped:
        patched.setattr(Trainer, "_update", stop_at_five)
        train_command(settings("stopped", *DROPOUT))
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert Path("runs/stopped/checkpoints/step-5").is_dir()
    train(settings("stopped", *DROPOUT))
    assert same(weights("whole", 12), weights("stopped", 12))


PATIENT = (
    *DROPOUT,
    "schedule=plateau",
    "schedule.patience=1",
    "trainer.patience=9",
    "trainer.validate_every=3",
    "trainer.log_every=1",
)


def states(run: str) -> dict[str, dict[str, Any]]:
    """The state of each checkpoint after its validation, without the clock."""
    found = {}
    for file in Path("runs", run, "checkpoints").glob("*/validated.json"):
        found[file.parent.name] = json.loads(file.read_text()) | {"minutes": 0, "validating": 0}
    return found


def at_validation(number: int, do: Callable[[], None], patched: pytest.MonkeyPatch) -> None:
    """Call `do` at the start of the `number`-th validation."""
    nll_per_token = validation.nll_per_token

    def counted(*arguments: Any, **more: Any) -> float:
        calls.append(1)
        if len(calls) == number:
            do()
        return nll_per_token(*arguments, **more)

    calls: list[int] = []
    patched.setattr(validation, "nll_per_token", counted)


@pytest.mark.parametrize(("how", "number"), [("signal", 1), ("kill", 2)])
@pytest.mark.usefixtures("without_shape_checks")
def test_an_interrupted_validation_is_repeated_by_the_next_session(
    how: str, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Scores, the best one, patience and plateau are bitwise those of an uninterrupted run."""
    caplog.set_level("INFO")
    train(settings("whole", *PATIENT, "trainer.max_updates=7"))
    last = 3 * number
    with monkeypatch.context() as patched, pytest.raises(Stopped if how == "signal" else KeyboardInterrupt):
        at_validation(number, partial(os.kill, os.getpid(), signal.SIGTERM) if how == "signal" else die, patched)
        train_command(settings("cut", *PATIENT, "trainer.max_updates=7"))
    assert Path(f"runs/cut/checkpoints/step-{last}/model.safetensors").is_file()
    assert [line["update"] for line in lines("cut") if "valid/nll" in line] == list(range(3, last, 3))
    assert (f"stopping: saving after update {last}" in caplog.text) == (how == "signal")
    train(settings("cut", *PATIENT, "trainer.max_updates=7"))
    assert states("whole") == states("cut") and "step-7" in states("cut")
    assert same(weights("whole", 7), weights("cut", 7))
    assert lines("whole") == lines("cut")
    assert Path("runs/whole/best").readlink() == Path("runs/cut/best").readlink()


SAVE, UPDATE = (saving, "save"), (Trainer, "_update")


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [(0, UPDATE, 1), (3, UPDATE, 4), (0, SAVE, 4)],
    ids=["first update", "first update of a continued run", "save before a validation"],
)
def test_a_signal_is_announced_with_the_update_that_is_saved(
    before: int,
    during: tuple[Any, str],
    after: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    if before:
        train(settings("announced", f"trainer.max_updates={before}"))
    call = getattr(*during)

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 60
        while "stopping" not in caplog.text and time.monotonic() < deadline:  # another thread announces it
            time.sleep(0.01)
        return call(*arguments)

    monkeypatch.setattr(*during, interrupted)
    with pytest.raises(Stopped, match=f"saved after update {after}$"):
        train_command(settings("announced"))
    assert f"stopping: saving after update {after}" in caplog.messages


def die() -> None:
    raise KeyboardInterrupt  # nothing is saved, as if killed


def test_a_missed_last_validation_is_done_when_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("trainer.max_updates=2",)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_validation(1, die, patched)
        train(settings("unvalidated", *words))
    assert not Path("runs/unvalidated/best").exists()
    train(settings("unvalidated", *words))
    assert Path("runs/unvalidated/best/model.safetensors").is_file()
    assert states("unvalidated")["step-2"]["best_update"] == 2


def test_a_validation_whose_state_was_not_saved_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(saving, "save_validated", lambda *_: die())
        train(settings("twice", "trainer.max_updates=4"))
    assert [line["update"] for line in lines("twice") if "valid/nll" in line] == [4]
    train(settings("twice", "trainer.max_updates=5"))
    assert [line["update"] for line in lines("twice") if "valid/nll" in line] == [4, 5]


def test_checkpoints_that_only_a_validation_needed_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    save = saving.save

    def counted(folder: RunFolder, step: int, *what: Any) -> Path:
        saved.append(step)
        return save(folder, step, *what)

    monkeypatch.setattr(saving, "save", counted)
    seldom = ("optimizer.lr=1e-30", "trainer.validate_every=1", "trainer.max_updates=6", "trainer.keep_best=1")
    train(settings("seldom", *seldom))
    assert saved == [1, 2, 3, 4, 5, 6]
    assert RunFolder(Path("runs/seldom")).steps() == [1, 4, 6]  # the best, that of save_every=4, the newest


def gradients(tokens_per_batch: int) -> list[torch.Tensor]:
    """The gradients of the first update in float64, cut into micro-batches of this size."""
    found: list[torch.Tensor] = []

    def keep(self: OptimizerStep, update: int) -> float:
        found.extend(p.grad.clone() for p in self.strategy.model.parameters())
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        build = setup.build_model
        patched.setattr(setup, "build_model", lambda *a, **k: build(*a, **k).double())
        patched.setattr(OptimizerStep, "__call__", keep)
        with pytest.raises(KeyboardInterrupt):
            words = ["encoder.dropout=0", "decoder.dropout=0", "embedding.dropout=0", "optimizer.fused=false"]
            train(settings(f"cut-{tokens_per_batch}", f"trainer.tokens_per_batch={tokens_per_batch}", *words))
    return found


def test_the_size_of_micro_batches_does_not_change_gradients() -> None:
    for one, other in zip(gradients(60), gradients(5000), strict=True):
        assert (one - other).abs().max() < 1e-9


def test_a_finished_run_names_the_limit_to_raise(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(settings("done", "trainer.max_updates=2"))
    before = {path: path.stat().st_mtime_ns for path in Path("runs/done").rglob("*") if path.name != ".lock"}
    caplog.clear()
    train(settings("done", "trainer.max_updates=2"))
    assert "finished: it has reached trainer.max_updates=2; raise that" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs/done").rglob("*") if path.name != ".lock"}


def test_a_finished_decay_suggests_what_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    words = ("schedule=cosine", "schedule.warmup=1")
    train(settings("decayed", *words, "trainer.max_updates=2"))
    train(settings("decayed", *words, "trainer.max_updates=2"))
    assert "raise that" not in caplog.text
    for text in ("spans 2 updates", "run=NAME init_from=decayed", "run=NAME trainer.max_updates=4"):
        assert text in caplog.text
    with pytest.raises(ConfigError, match=r"learning rate has reached the end of schedule=cosine.* 0 times"):
        train(settings("decayed", *words, "trainer.max_updates=4"))


def test_a_resumed_run_keeps_what_auto_selected(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On another machine, where it would select something else."""
    caplog.set_level("INFO")
    words = ("precision=auto", "device=auto")
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "cpu_multiplies_bf16", lambda: False)
    train(settings("moved", *words, "trainer.max_updates=1"))
    monkeypatch.setattr(device, "cpu_multiplies_bf16", lambda: True)
    caplog.clear()
    train(settings("moved", *words, "trainer.max_updates=2"))
    assert "on cpu in fp32" in caplog.text
    state = TrainState(device="cuda", precision="bf16")
    with pytest.raises(ConfigError, match=r"run=moved was started on a GPU .* device=cpu continues without one"):
        resumed_runtime("moved", "auto", "auto", state)
    assert resumed_runtime("moved", "cpu", "auto", state).precision == "bf16"


def _own(words: list[str], updates: int) -> TrainSettings:
    """These settings, up to that many updates."""
    kept = [word for word in words if not word.startswith("trainer.max_updates")]
    return load_train(compose(CONFIGS, "train", [*kept, f"trainer.max_updates={updates}"]))


def test_changed_text_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for side in ("source", "target"):
        for split in ("train", "valid"):
            (tmp_path / f"{split}.{side}").write_text("".join(f"{i} plus {i + 1}\n" for i in range(300)))
    files = [f"data.{split}.{side}={split}.{side}" for split in ("train", "valid") for side in ("source", "target")]
    kept = [word for word in SMALL if not word.startswith("data.")]
    words = [*kept, "data=files", *files, "tokenizer=char", "tokenizer.vocab_size=275", "run=text"]
    words = [word for word in words if word != "tokenizer.vocab_size=600"]
    words += ["search.min_length=11", "search.max_length_ratio=0.0"]  # all outputs reach their limit
    train(_own(words, 4))
    assert "200 of 300 training pairs (66.67%) have targets longer than search.max_length" in caplog.text
    assert "update 4: 300 of 300 outputs ended at search.max_length_ratio=0.0 (times" in caplog.text
    text = (tmp_path / "train.source").read_text()
    (tmp_path / "train.source").write_text("".join(f"{i} plus {i + 2}\n" for i in range(300)))
    with pytest.raises(DataError, match=r"the training text has changed since step 4"):
        train(_own(words, 8))
    (tmp_path / "train.source").write_text(text)
    (tmp_path / "valid.target").write_text("".join(f"{i} plus {i + 2}\n" for i in range(300)))
    with pytest.raises(DataError, match=r"the validation text has changed since step 4.*init_from=runs/text run=NAME$"):
        train(_own(words, 8))
    _as_older_versions_wrote(tmp_path / "runs/text/checkpoints/step-4", "valid")
    train(_own(words, 5))
    assert json.loads((tmp_path / "runs/text/checkpoints/step-5/state.json").read_text())["valid"]


def _as_older_versions_wrote(checkpoint: Path, key: str) -> None:
    """Remove a key from a checkpoint's state, and update its manifest."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name in filter(lambda name: name.endswith(".json"), manifest["files"]):
        state = json.loads((checkpoint / name).read_text())
        content = json.dumps({field: value for field, value in state.items() if field != key}).encode()
        (checkpoint / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def test_changed_settings_are_refused_with_a_diff() -> None:
    train(settings("own", "trainer.max_updates=1"))
    with pytest.raises(ConfigError, match=r"trainer.tokens_per_update: 500 -> 600"):
        train(settings("own", "trainer.max_updates=1", "trainer.tokens_per_update=600"))


@pytest.mark.parametrize(
    ("limit", "key"), [("trainer.max_epochs=1", "max_epochs"), ("trainer.max_minutes=0", "max_minutes")]
)
@pytest.mark.usefixtures("without_shape_checks")
def test_limits_of_epochs_and_minutes(limit: str, key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(settings("limited", limit.replace("=0", "=0.0001"), "trainer.max_updates=500"))
    assert f"finished at trainer.{key}" in caplog.text
    assert Path("runs/limited/best/model.safetensors").is_file()  # it was validated and saved at its end


def test_patience(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(
        settings(
            "patient", "optimizer.lr=1e-12", "trainer.patience=2", "trainer.validate_every=1", "trainer.max_updates=9"
        )
    )
    assert "finished at trainer.patience=2" in caplog.text
    assert [line["update"] for line in lines("patient") if "valid/bleu" in line] == [1, 2, 3]


NAN = float("nan")
# valid/bleu and valid/nll of each validation; the best one, and how many after it were not better
VALIDATIONS = [
    ([(0.0, 6.0), (0.0, 5.0), (0.0, 4.0)], 3, 0),
    ([(0.004, 6.0), (0.001, 5.0), (0.0, 4.0)], 3, 0),  # all of them are shown as 0.00
    ([(0.0, 6.0), (0.0, 6.0), (0.0, 7.0)], 1, 2),
    ([(1.0, 6.0), (2.0, 9.0), (1.0, 1.0)], 2, 1),
    ([(NAN, 6.0), (0.0, 6.0), (0.0, 7.0)], 2, 1),
    ([(NAN, NAN), (NAN, NAN), (0.0, NAN)], 3, 0),
    ([(NAN, 6.0), (NAN, 5.0), (NAN, NAN)], 2, 1),
    ([(5.0, NAN), (5.0, 3.0), (NAN, 1.0)], 2, 1),
]


@pytest.mark.parametrize(("scores", "best", "worse"), VALIDATIONS)
def test_which_validation_is_the_best(scores: list[tuple[float, float]], best: int, worse: int) -> None:
    """Between equal scores valid/nll decides; NaN is worse than any number; patience follows the same order."""
    validator = Validator.__new__(Validator)
    validator.metrics = {"bleu": settings("judged").metrics["bleu"]()}
    trainer = SimpleNamespace(
        settings=SimpleNamespace(best_metric="valid/bleu"),
        state=TrainState(),
        schedule=Constant(warmup=0),
        validator=validator,
        reporter=Mock(),
        world=SimpleNamespace(is_main=False, broadcast=lambda minutes: minutes),
        planner=SimpleNamespace(validated=lambda minutes: False),
        saver=Mock(),
        _total_minutes=lambda: 0.0,
        _state_dict=dict,
    )
    for number, (bleu, nll) in enumerate(scores, start=1):
        trainer.state.update = trainer.saver.saved = number
        Trainer._process_scores(trainer, {"valid/bleu": bleu, "valid/nll": nll}, 0.0)  # type: ignore[arg-type]
    assert (trainer.state.best_update, trainer.state.worse) == (best, worse)
    assert [call.args[2] for call in trainer.reporter.validated.mock_calls][best - 1 :] == [True] + [False] * worse
    TrainState(**json.loads(json.dumps(asdict(trainer.state))))


@pytest.mark.parametrize("defers", [False, True])
def test_an_infinite_loss_is_refused_even_if_its_gradient_is_finite(
    defers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, taken = CrossEntropy.__call__, []

    def break_at_three(self: CrossEntropy, model: Any, batch: Any) -> Losses:
        losses = compute(self, model, batch)
        return replace(losses, total=losses.total + (float("inf") if len(taken) == 2 else 0.0))

    def counted(self: OptimizerStep, update: int) -> Any:
        taken.append(1)
        return call(self, update)

    call = OptimizerStep.__call__
    monkeypatch.setattr(CrossEntropy, "__call__", break_at_three)
    monkeypatch.setattr(OptimizerStep, "__call__", counted)
    monkeypatch.setattr(
        update_module,
        "OptimizerStep",
        lambda *arguments, **more: OptimizerStep(*arguments, **more | {"defers": defers}),
    )
    with pytest.raises(NonFiniteLossError, match=r"update 3: the loss is inf .* the last checkpoint is step-2"):
        train(settings("infinite", "trainer.on_nonfinite=stop", "trainer.save_every=2", "trainer.validate_every=50"))


def test_a_nan_loss_stops_the_run_and_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = CrossEntropy.__call__
    models: list[torch.nn.Module] = []
    before: list[dict[str, torch.Tensor]] = []  # the weights before each batch

    def break_at_six(self: CrossEntropy, model: torch.nn.Module, batch: Any) -> Losses:
        losses = compute(self, model, batch)
        models.append(model)
        before.append({name: weight.detach().clone() for name, weight in model.named_parameters()})
        return replace(losses, total=losses.total * float("nan")) if len(before) > 12 else losses

    monkeypatch.setattr(CrossEntropy, "__call__", break_at_six)
    with pytest.raises(NonFiniteLossError, match=r"the loss is nan .* the last checkpoint is step-4"):
        train(settings("broken", "trainer.on_nonfinite=stop"))
    assert not same(before[0], before[12])
    assert same(dict(models[-1].named_parameters()), before[12])


def test_a_run_folder_has_all_its_files() -> None:
    train(settings("whole", "trainer.keep_last=1", "trainer.average=1"))
    folder = Path("runs/whole")
    assert {"config.yaml", "tokenizer", "checkpoints", "best", "metrics.jsonl"} <= {p.name for p in folder.iterdir()}
    assert str((folder / "best").readlink()).startswith("checkpoints/step-")
    assert (folder / "tokenizer" / "joint.model").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pt", ".pkl", ".bin")]
    tags = {tag for line in lines("whole") for tag in line}
    assert {
        "train/loss",
        "train/nll",
        "train/lr",
        "train/grad_norm",
        "train/padding",
        "valid/nll",
        "valid/bleu",
    } <= tags


def test_validation_and_evaluation_agree() -> None:
    from seq2seq.analysis.evaluation.evaluation import evaluate

    run = settings("whole")
    train(run)
    found = evaluate(evaluate_settings("whole", split="valid", checkpoint="last", baselines="auto"), run)
    scores = json.loads(Path("runs/whole/eval/valid-last.json").read_text())
    last = [line for line in lines("whole") if "valid/bleu" in line][-1]
    assert scores["bleu"]["score"] == last["valid/bleu"]
    assert scores["chrf"]["score"] == last["valid/chrf"]
    assert "nrefs:1" in scores["bleu"]["signature"]
    assert found.scores["bleu"].value == scores["bleu"]["score"]
    assert scores["bleu"]["signature"] in found.table


def test_the_terms_of_the_loss_are_logged() -> None:
    """The weighted attention penalty and the cross-entropy; they add up to the loss."""
    train(settings("covered", "attention=coverage", "objective.attention_penalty=0.5", "trainer.max_updates=2"))
    (line, *_) = lines("covered")
    assert line["train/attention_penalty"] > 0
    assert line["train/loss"] == pytest.approx(line["train/cross_entropy"] + line["train/attention_penalty"], abs=1e-6)


@pytest.mark.parametrize(
    ("where", "doing"),
    [
        ("seq2seq.training.run.latest_intact", "loading the checkpoint"),
        ("seq2seq.data.prepare.store_texts", "preparing the data"),
        ("seq2seq.training.setup.build_model", "building the model"),
        ("seq2seq.training.setup.build_optimizer", "building the model"),
    ],
)
def test_the_error_names_where_memory_ran_out(monkeypatch: pytest.MonkeyPatch, where: str, doing: str) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(where, fails)
    with pytest.raises(OutOfMemoryError, match=f"out of memory while {doing}: "):
        train(settings("large"))


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("size", [0, 2000, 20_000, 60_000])
def test_a_full_disk_ends_a_run_with_one_error(size: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Whichever file reaches `size` bytes first: lock, cache, log or checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        with pytest.raises(StorageError, match="File too large"):
            train(settings("full", "trainer.max_updates=4", "search.max_length=3"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Traceback" not in capfd.readouterr().err
