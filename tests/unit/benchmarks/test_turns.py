"""Programs take turns: each runs in every round, and one that fails is left out."""

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[[str, str], Any]


@pytest.fixture
def contestants(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/contestants.py."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import contestants

    return contestants


@pytest.fixture
def program(contestants: Any, repository: Path, tmp_path: Path) -> Program:
    """Makes a contestant from a program's name and its lines, which can use `turns`."""

    def made(name: str, lines: str) -> Any:
        path = tmp_path / f"{name}.py"
        head = f"import sys\nsys.path.insert(0, {str(repository / 'benchmarks/peers')!r})\n"
        path.write_text(f"{head}from turns import Pace, Turns\nturns = Turns()\n{textwrap.dedent(lines)}")
        return contestants.Contestant(name, "model", "fp32", (sys.executable, str(path)))

    return made


ECHO = """
    turns.ready()
    while True:
        word = turns.wait()
        print("output of a library")
        turns.answer(word=word)
"""


def test_every_program_has_its_turn_in_every_round(contestants: Any, program: Program) -> None:
    field = [program("a", ECHO), program("b", ECHO)]
    with contestants.Field(field, threads=1) as ready:
        turns = ready.rounds(["x", "y"])
    assert {one.program: each for one, each in turns.items()} == {name: [{"word": "x"}, {"word": "y"}] for name in "ab"}
    assert ready.versions.keys() == {"a", "b"}
    assert all("python" in versions for versions in ready.versions.values())


def test_failed_program_is_reported_and_left_out(
    contestants: Any, program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    never = program("never", "raise ValueError('no start')")
    later = program(
        "later", "turns.ready()\nturns.wait()\nturns.answer(word='x')\nturns.wait()\nraise ValueError('tired')"
    )
    with contestants.Field([never, program("good", ECHO), later], threads=1) as ready:
        turns = ready.rounds(["x", "y"])
    assert [one.program for one in turns] == ["good"]
    assert capfd.readouterr().err.strip().split("\n") == [
        "never, model, fp32 failed and is left out: exit code 1: ValueError: no start",
        "later, model, fp32 failed and is left out: exit code 1: ValueError: tired",
    ]


def test_slow_program_is_cut_off(contestants: Any, program: Program, capfd: pytest.CaptureFixture[str]) -> None:
    endless = program("endless", "import time\nturns.ready()\nturns.wait()\ntime.sleep(100)")
    with contestants.Field([endless], threads=1, seconds=1) as ready:
        assert ready.rounds(["x"]) == {}
    assert list(ready.failures.values()) == ["cut off, for its time was over"]
    message = "endless, model, fp32 failed and is left out: cut off, for its time was over\n"
    assert capfd.readouterr().err == message


def test_training_stops_when_its_turn_is_over(contestants: Any, program: Program) -> None:
    """It counts its updates itself; a turn has whole updates and lasts at least as long as requested."""
    training = """
        import time
        turns.ready()
        pace = Pace(turns)
        pace.begin()
        while True:
            time.sleep(0.02)
            pace.updated(target_tokens=7)
    """
    with contestants.Field([program("training", training)], threads=1) as ready:
        turns = ready.rounds(["0", "0.1"])
    [[short, long]] = turns.values()
    assert (short["updates"], short["target_tokens"]) == (1, 7)
    assert long["seconds"] >= 0.1 > long["seconds"] - long["seconds"] / long["updates"] - 0.05
    assert long["target_tokens"] == 7 * long["updates"]
    assert long["peak_mib"] > 1


def test_peak_memory_is_that_of_the_program_alone(contestants: Any, program: Program) -> None:
    held = bytearray(400 << 20)  # by the process that starts it
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    lines = (
        "from turns import peak_mib\nturns.ready()\nwhile True:\n    turns.wait()\n    turns.answer(peak=peak_mib())"
    )
    with contestants.Field([program("small", lines)], threads=1) as ready:
        [[found]] = ready.rounds(["0"]).values()
    assert 1 < found["peak"] < 300 < len(held) >> 20


def test_missing_peers_are_reported_in_one_line(
    contestants: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contestants, "PEERS", tmp_path / "python")
    assert not contestants.peers_wanted("none")
    assert capsys.readouterr().err == ""
    assert not contestants.peers_wanted("auto")
    message = f"No peers: there is no {tmp_path}/python; make benchmark-peers installs them. Ours is measured alone.\n"
    assert capsys.readouterr().err == message
    (tmp_path / "python").touch()
    assert contestants.peers_wanted("auto")
    assert not contestants.peers_wanted("none")


def test_figures_are_written_with_machine_and_versions(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import report

    monkeypatch.setattr("os.getloadavg", lambda: (2.0, 0.0, 0.0))
    options = report.argparse.Namespace(rounds=3, models=["lstm"], json=tmp_path / "deep/out.json")
    report.write_json(options.json, report.surroundings(options))
    assert "busy (load 2.0)" in capsys.readouterr().err
    written = json.loads(options.json.read_text())
    assert written["options"] == {"rounds": 3, "models": ["lstm"], "json": str(options.json)}
    assert {"torch", "numpy", "seq2seq", "python"} <= written["versions"]["ours"].keys()
    assert "cores of" in written["where"]
    report.write_json(None, {})
