"""Launching a script: exit codes, stdout and stderr, and the jobs of a multirun."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seq2seq.config.command_line import launch as entry
from seq2seq.config.command_line.launch import launch
from seq2seq.config.command_line.script import Script
from seq2seq.config.presets import TextSize
from seq2seq.config.schema import TrainSettings
from seq2seq.data.cache import cached
from seq2seq.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    NonFiniteLossError,
    PeerError,
    Stopped,
    StorageError,
)

Start = Callable[..., int]


class Task:
    """What the script under test calls with the settings of each run."""

    def __init__(self) -> None:
        self.seen: list[TrainSettings] = []
        self.errors: dict[int, BaseException] = {}

    def __call__(self, settings: TrainSettings) -> None:
        self.seen.append(settings)
        if settings.seed in self.errors:
            raise self.errors[settings.seed]
        print("a result")


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def start(train: Script, task: Task, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Runs the script with these words and returns the process's exit code."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def started(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        with pytest.raises(SystemExit) as ended:
            launch(replace(train, run=task))
        assert isinstance(ended.value.code, int)
        return ended.value.code

    yield started
    gc.unfreeze()  # each launch freezes; a process normally has one


def test_run_exits_with_0_and_leaves_no_files(
    start: Start, task: Task, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start("seed=4", "run=1e3", "optimizer.amsgrad=true") == 0
    [seen] = task.seen
    assert (seen.seed, seen.run, seen.optimizer.arguments["amsgrad"]) == (4, "1e3", True)
    assert capfd.readouterr() == ("a result\n", "")
    assert Path.cwd() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


def test_run_has_all_words_of_its_command_line(start: Start, task: Task) -> None:
    words = ("-m", "seed=1,2", "run=a")
    assert start(*words) == 0
    assert [(seen.run, seen.command) for seen in task.seen] == [("a-seed-1", words), ("a-seed-2", words)]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("key: wrong\nsecond line"), 2),
        (DataError("text: wrong"), 3),
        (CheckpointError("run: wrong"), 4),
        (StorageError("disk: full"), 5),
        (NonFiniteLossError("loss: nan"), 6),
        (Stopped(signal.SIGTERM, "stopped and saved"), 143),
        (Stopped(signal.SIGINT, "stopped and saved"), 130),
    ],
)
def test_user_errors_are_lines_and_exit_codes(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    task.errors[1] = error
    assert start() == code
    assert capfd.readouterr() == ("", f"{error}\n")


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 1 of 2, as torchrun starts it."""
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(entry, "LINGER", 0.0)


def reported_error() -> PeerError:
    """An error that the main process has reported."""
    error = PeerError("another process has failed")
    error.reported = True
    return error


@pytest.mark.usefixtures("second_of_two")
@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("key: wrong"), 2, ""),
        (reported_error(), 7, ""),
        (StorageError("disk: full"), 5, "process 1: disk: full\n"),
    ],
    ids=["on all ranks", "reported by another rank", "on this rank"],
)
def test_error_on_all_ranks_is_printed_once(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], error: Exception, code: int, message: str
) -> None:
    task.errors[1] = error
    assert start() == code
    assert capfd.readouterr() == ("", message)


@pytest.mark.usefixtures("second_of_two")
def test_only_the_main_process_logs(start: Start) -> None:
    assert start() == 0
    assert not logging.getLogger("seq2seq").isEnabledFor(logging.WARNING)


@pytest.mark.usefixtures("second_of_two")
def test_several_processes_cannot_start_a_multirun(start: Start, task: Task) -> None:
    assert start("-m", "seed=1,2") == 2
    assert task.seen == []


def test_control_characters_are_escaped(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    task.errors[1] = DataError("\x1b[2Jfile\u202e: wrong")
    assert start() == 3
    assert capfd.readouterr().err == "\\x1b[2Jfile\\u202e: wrong\n"
    assert start("a\nb\x1b]0;title\x07=1", "--nope\x1b", "encoder=\u202e") == 2
    assert capfd.readouterr().err.isascii()
    assert start("--package", "x\x1b", "--info=\x1b") == 2
    err = capfd.readouterr().err
    assert err.startswith("1 mistake in the configuration:\n  argument --info/-i: invalid choice: ")
    assert "\x1b" not in err


def test_bug_is_a_traceback(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    task.errors[1] = ValueError("ours")
    assert start() == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Traceback")
    assert "ValueError: ours" in err


def test_interrupt_exits_with_130(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    task.errors[1] = KeyboardInterrupt()
    assert start() == 130
    assert capfd.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_exits_with_128_plus_its_number_and_cleans_up(
    start: Start, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path
) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("made")
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(Task, "__call__", lambda self, settings: cached(tmp_path / "cache", "kind", "key", build))
    assert start() == 128 + number
    assert capfd.readouterr().err == "interrupted\n"
    assert not [entry for entry in (tmp_path / "cache").rglob("*") if "half" in entry.name or "key" in entry.name]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_mistakes_exit_with_2_before_the_task(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    assert start("sead=1", "--nope", "tie=x") == 2
    assert task.seen == []
    assert capfd.readouterr() == (
        "",
        "3 mistakes in the configuration:\n"
        "  --nope: no such option (--help lists them)\n"
        "  sead=1: no such key; did you mean seed?\n"
        "  tie=x: expected one of none, target, all, got 'x'\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config-name=other"], "--config-name=other: not supported"),
        (["--config-dir", "elsewhere"], "--config-dir=elsewhere: there is no such folder"),
        (["--cfg", "job", "--run"], "Only one of --run"),
        (["hydra.nothing=1"], "Could not override 'hydra.nothing'"),
        (["length.overlong=${oc.env:}"], "length.overlong=${oc.env:}: TypeError raised while resolving interpolation"),
    ],
)
def test_mistakes_found_by_hydra_exit_with_2(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert start(*words) == 2
    assert task.seen == []
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_options_may_be_anywhere(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    assert start("seed=1", "--cfg", "job", "encoder=gru") == 0
    assert "hidden_size: 128" in capfd.readouterr().out
    assert task.seen == []


def test_help_lists_parts_keys_and_examples(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    assert start("--help") == 0
    out, err = capfd.readouterr()
    assert err == ""
    for text in (
        "python scripts/train.py [experiment=GROUP/NAME]",
        "attention: bahdanau, luong_dot",
        "max_updates: 3000",
    ):
        assert text in out


def test_presets_of_jobs_and_of_hydras_own_words(
    train: Script, task: Task, monkeypatch: pytest.MonkeyPatch, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "preset/tiny.yaml").write_text("encoder=lstm:\n  encoder.layers: 2\n  encoder.hidden_size: 64\n")

    def start(*words: str) -> list[tuple[int, str]]:
        monkeypatch.setattr(sys, "argv", ["train.py", "run=a", "encoder.hidden_size=32", *words])
        task.seen.clear()
        with pytest.raises(SystemExit) as ended:
            launch(replace(train, run=task, size_of=lambda _: TextSize(5, 5)))
        assert ended.value.code == 0
        return [(found.encoder.arguments["layers"], found.choices["preset"]) for found in task.seen]

    assert start("-m", "preset=none,tiny") == [(1, "none"), (2, "tiny")]
    assert start("preset=tiny", "hydra.verbose=false") == [(2, "tiny")]
    assert task.seen[0].preset == {"encoder.layers": 2}
    capfd.readouterr()
    assert start("preset=tiny", "--cfg", "job", "-p", "encoder") == []
    printed = capfd.readouterr().out
    assert "layers: 2\n" in printed
    assert "hidden_size: 32\n" in printed
    gc.unfreeze()


@pytest.mark.usefixtures("own")
def test_user_folder_is_added_to_each_job(start: Start, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    assert start("-m", "attention=one,two", "-cd", "mine", "run=own") == 0
    assert [(found.attention.name, found.run) for found in task.seen] == [
        ("one", "own-attention-one"),
        ("two", "own-attention-two"),
    ]
    capfd.readouterr()
    assert start("--config-dir=mine", "attention=one", "--help") == 0
    out = capfd.readouterr().out
    assert "attention: bahdanau, luong_dot, one, two\n" in out
    assert "Of these, yours in mine: attention: one, two; experiment: own/deep\n" in out


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config-dir=mime", "attention=one"], "--config-dir=mime: there is no such folder; did you mean mine?"),
        (["-cd", "mine", "--config-dir", "mine"], "--config-dir (-cd): one folder can be added; give it once"),
        (["--config-name=mine"], "--config-name=mine: not supported; --config-dir DIR adds choices of your own"),
        (["-cp", "mine"], "--config-path=mine: not supported; --config-dir DIR adds choices of your own"),
        (
            ["hydra.searchpath=[mine]"],
            "hydra.searchpath=[mine]: not supported; --config-dir DIR adds a folder of choices",
        ),
    ],
)
def test_other_options_for_a_folder_are_refused_with_the_right_one(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert start(*words) == 2
    assert message in capfd.readouterr().err
    assert task.seen == []


def test_a_multirun_trains_every_combination_under_its_own_name(start: Start, task: Task, tmp_path: Path) -> None:
    assert start("-m", "seed=1,2", "run=many", "encoder=lstm,gru") == 0
    assert [(found.seed, found.encoder.name, found.run) for found in task.seen] == [
        (1, "lstm", "many-seed-1-encoder-lstm"),
        (1, "gru", "many-seed-1-encoder-gru"),
        (2, "lstm", "many-seed-2-encoder-lstm"),
        (2, "gru", "many-seed-2-encoder-gru"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


def test_jobs_without_a_run_name_get_different_names(start: Start, task: Task) -> None:
    assert start("--multirun", "trainer.log_every=1,2") == 0
    names = [found.run for found in task.seen]
    assert [name.rpartition("-trainer.log_every-")[2] for name in names] == ["1", "2"]


def test_swept_text_stays_text(start: Start, task: Task) -> None:
    assert start("-m", "run=007,1e3") == 0
    assert [found.run for found in task.seen] == ["007", "1e3"]


def test_a_failed_job_is_reported_and_the_rest_run(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    task.errors = {2: DataError("text: wrong"), 3: ValueError("ours")}
    caplog.set_level("INFO")
    assert start("-m", "seed=1,2,3,4") == 3
    assert [found.seed for found in task.seen] == [1, 2, 3, 4]
    assert caplog.messages == [
        "job 1 of 4 (seed=1)",
        "job 2 of 4 (seed=2)",
        "job 3 of 4 (seed=3)",
        "job 4 of 4 (seed=4)",
        "job 2 of 4 (seed=2) failed with exit code 3",
        "job 3 of 4 (seed=3) failed with exit code 1",
    ]
    out, err = capfd.readouterr()
    assert out == "a result\n" * 2
    assert err.startswith("text: wrong\nTraceback")


def test_job_that_cannot_run_is_reported_first(
    start: Start, task: Task, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert start("-m", "attention=bahdanau,luong_dot", "attention.attn_dim=5") == 2
    assert [found.attention.name for found in task.seen] == ["bahdanau"]
    assert caplog.messages[0] == "job 2 of 2 (attention=luong_dot)"
    assert capfd.readouterr().err == (
        "1 mistake in the configuration:\n  attention.attn_dim=5: no such key. attention=luong_dot takes: dropout\n"
    )


@pytest.mark.parametrize(
    "words", [["seed=1,2", "tie=x"], ["encoder=lstm,lsmt"], ["seed=1,2", "+y=1"], ["seed=1,2", "--nope"]]
)
def test_a_multirun_with_mistakes_in_its_words_does_not_start(start: Start, task: Task, words: list[str]) -> None:
    assert start("-m", *words) == 2
    assert task.seen == []


def test_stop_signal_ends_the_whole_multirun(start: Start, task: Task) -> None:
    task.errors = {1: Stopped(signal.SIGTERM, "stopped and saved")}
    assert start("-m", "seed=1,2") == 143
    assert [found.seed for found in task.seen] == [1]
