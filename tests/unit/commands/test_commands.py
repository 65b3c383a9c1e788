"""The `seq2seq` command: help, version, and unknown commands."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

import seq2seq
from seq2seq.commands import COMMANDS, main
from seq2seq.config.command_line.program import called_as, program, under_torchrun

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Exit code, stdout and stderr of `seq2seq` with these words."""

    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["seq2seq", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    yield called
    called_as(installed=False)


def test_help_lists_each_command_on_a_line(call: Call) -> None:
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.split("\n") if line.startswith("  ")] == list(COMMANDS)


def test_without_a_command_help_is_printed_as_an_error(call: Call) -> None:
    assert call() == (2, "", call("--help")[1])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trian", "seq2seq: there is no command 'trian'; did you mean train? Commands: attention, augment, compare, "),
        ("run=mine", "seq2seq: there is no command 'run=mine'. Commands: attention, "),
        ("\x1b[2J", "seq2seq: there is no command '\\x1b[2J'. Commands: "),
    ],
)
def test_unknown_command_is_reported_in_one_line(call: Call, word: str, message: str) -> None:
    code, out, err = call(word)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["--version"], ["train", "--version"], ["compare", "runs=a", "--version"]])
def test_version_is_printed(call: Call, words: list[str]) -> None:
    assert call(*words) == (0, f"seq2seq {seq2seq.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_how_it_was_called(call: Call, command: str) -> None:
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "")
    assert f"  seq2seq {command} " in out
    assert "scripts/" not in out
    assert "$" not in out.replace("${", "")
    assert "--version                   the version of seq2seq\n" in out


def test_messages_show_how_the_command_was_called() -> None:
    assert (program("train"), under_torchrun("train")) == ("python scripts/train.py", "scripts/train.py")
    called_as(installed=True)
    assert (program("train"), under_torchrun("train")) == ("seq2seq train", "-m seq2seq train")
    called_as(installed=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_leave_their_core_soon(given: dict[str, str], expected: str | None) -> None:
    """Before torch is imported; what the user has set stays."""
    program = """
import os, sys
import seq2seq.commands as commands
commands.importlib.import_module = lambda name: sys.exit(f"{'torch' in sys.modules} {os.environ.get('GOMP_SPINCOUNT')}")
commands.run("train")
"""
    usual = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**usual, **given}, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == f"False {expected}"
