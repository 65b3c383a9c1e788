"""A score by a command: what it reads, the scores from what it writes, and everything that can go wrong with it."""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from seq2seq.errors import ConfigError
from seq2seq.metrics import bootstrap, compare
from seq2seq.metrics.external import External

SOURCES = ["ein Hund\nbellt", "\u2028", "", 'drei "Katzen"']
HYPOTHESES = ["a dog\nbarks", "x\u2028y\r", "", "three cats"]
REFERENCES = [("a dog barks", "the dog\nbarks"), ("x",), ("",), ("three cats",)]
LENGTHS = "import json, sys\nfor line in sys.stdin: print(len(json.loads(line)['hypothesis']))"


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def external(command: str | list[str] | None, **given: Any) -> External:
    usual = {"name": "length", "version": None, "scale": 1.0, "higher_is_better": True, "timeout": 30.0}
    return External(command=command, **{**usual, **given}).for_sources(SOURCES)


def test_each_sentence_is_a_json_object_and_its_number_a_line(tmp_path: Path) -> None:
    kept = tmp_path / "rows"
    program = f"import sys\nlines = sys.stdin.readlines()\nopen({str(kept)!r}, 'w').writelines(lines)\n"
    program += "for number in range(len(lines)): print(number / 4)"
    metric = external(python(program), scale=100.0)
    assert metric.statistics(HYPOTHESES, REFERENCES).tolist() == [[0.0], [25.0], [50.0], [75.0]]
    assert metric.score(HYPOTHESES, REFERENCES)["length"].value == 37.5
    assert [json.loads(line) for line in kept.read_text().split("\n")[:-1]] == [
        {"source": source, "hypothesis": text, "references": list(several)}
        for source, text, several in zip(SOURCES, HYPOTHESES, REFERENCES, strict=True)
    ]


def test_a_text_is_split_into_words_and_no_shell_runs_it(tmp_path: Path) -> None:
    program = tmp_path / "my scores.py"
    program.write_text("import sys\nfor line in sys.stdin: print(len(sys.argv[1:]))")
    words = [sys.executable, str(program), "a b", "$HOME", ";", "touch", str(tmp_path / "made")]
    metric = external(shlex.join(words))
    assert metric.words == words
    assert metric.score(HYPOTHESES, REFERENCES)["length"].value == 5.0
    assert external(words).score(HYPOTHESES, REFERENCES) == metric.score(HYPOTHESES, REFERENCES)
    assert not (tmp_path / "made").exists()


def test_intervals_and_paired_tests_resample_the_numbers() -> None:
    sources, references = ["s"] * 40, [("r",)] * 40
    long, short = ["xx", "xxxx"] * 20, ["x", "xxx"] * 20
    metric = external(python(LENGTHS), higher_is_better=False).for_sources(sources)
    low, high = bootstrap(metric, long, references, samples=100)["length"]
    assert 2.0 < low < 3.0 < high < 4.0
    found = compare(metric, long, short, references, samples=100)["length"]
    assert (found.value, found.baseline, found.p_value < 0.05) == (3.0, 2.0, True)
    assert not metric.higher_is_better("length")


def test_signature() -> None:
    metric = external(["python", "my scores.py", "a|b"], scale=100.0, version="wmt22-comet-da")
    assert metric.signature([("a",), ("b", "c")]) == (
        "nrefs:var|command:python 'my scores.py' 'a/b'|scale:100|version:wmt22-comet-da"
    )
    assert external("cat").signature([("a",)]) == "nrefs:1|command:cat|scale:1"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (None, "length: its command is not given; that of a run's config.yaml is never run"),
        ("no-such-program -x", "length: there is no program no-such-program (in its command no-such-program -x)"),
        (
            python("import sys; sys.stdin.read(); print('1\\n2')"),
            " wrote 2 lines to stdout for 4 sentences: it must write one number per line, and nothing else",
        ),
        (python("import sys; sys.stdin.read()"), " wrote 0 lines to stdout for 4 sentences: it must"),
        (python("print('1\\n2\\nhigh\\n4')"), " wrote 'high' as line 3: expected one number per line"),
        (python("print('1\\n2\\n3\\n')"), " wrote '' as line 4: expected one number per line"),
        (python("print('1\\n2\\n3\\nnan')"), " wrote 'nan' as line 4: expected one number per line"),
        (
            python("import sys; sys.exit('first\\nNo module named comet\\n\\n')"),
            " ended with exit code 1: No module named comet",
        ),
        (python("import sys; sys.exit(3)"), " ended with exit code 3"),
        (python("import os; os.kill(os.getpid(), 9)"), " was ended by signal 9"),
    ],
)
def test_what_goes_wrong_is_one_line(command: str | list[str] | None, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        external(command).score(HYPOTHESES, REFERENCES)
    line = str(found.value)
    assert line.startswith("length: ") and "\n" not in line
    assert message in line


def test_a_file_that_is_no_program_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "score"
    file.write_bytes(b"\0\1")
    file.chmod(0o755)
    with pytest.raises(ConfigError, match=r"score cannot be started: Exec format error$"):
        external([str(file)]).score(HYPOTHESES, REFERENCES)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="there is no program"):
        external([str(file)]).check(REFERENCES)


def test_what_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    kept = tmp_path / "pids"
    program = (
        "import os, subprocess, sys, time\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(kept)!r}, 'w').write(f'{{os.getpid()}} {{inner.pid}}')\n"
        "time.sleep(60)"
    )
    with pytest.raises(ConfigError, match=r"took longer than 2 seconds \(its timeout\)$"):
        external(python(program), timeout=2.0).score(HYPOTHESES, REFERENCES)
    pids = [int(word) for word in kept.read_text().split()]
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in pids if alive(pid)] == []


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended may wait for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_much_text_and_a_command_that_reads_none() -> None:
    metric = external(python("import time; time.sleep(0.2); print('1\\n' * 4, end='')"))
    assert metric.score(["x" * 1_000_000] * 4, REFERENCES)["length"].value == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"command": "python 'x"}, 'command: no closing quotation in "python \'x"'),
        ({"command": " "}, "command: expected a program and its arguments, got ' '"),
        ({"command": []}, "command: expected a program and its arguments, got []"),
        ({"command": "cat", "name": "valid/x"}, "name: expected a name such as comet, got 'valid/x'"),
        ({"command": "cat", "timeout": 0.0}, "timeout: expected more than 0 seconds, or null, got 0.0"),
        ({"command": "cat", "scale": 0.0}, "scale: expected another number than 0"),
    ],
)
def test_wrong_arguments_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as found:
        external(**given)
    assert str(found.value) == message


def test_sources_are_needed_one_for_each_hypothesis() -> None:
    metric = External(name="x", command="cat", version=None, scale=1.0, higher_is_better=True, timeout=None)
    for wrong in (metric, metric.for_sources(["a"])):
        with pytest.raises(ValueError, match="needs a source for each hypothesis"):
            wrong.statistics(["a", "b"], [("a",), ("b",)])


def test_the_yaml_file_gives_all_arguments(repository: Path) -> None:
    (arguments,) = yaml.safe_load((repository / "configs/metrics/external.yaml").read_text()).values()
    assert arguments.pop("_target_") == "seq2seq.metrics.external.External"
    assert arguments.pop("_partial_") is True
    assert arguments["command"] == "???"
    assert External(**{**arguments, "command": os.devnull}).names == ("external",)
