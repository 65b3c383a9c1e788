"""Any files and any command line give exit code 0 or 2, never a traceback.

`SEQ2SEQ_FUZZ=1` tests 2,000 configurations and 400 command lines instead of a few; `SEQ2SEQ_FUZZ_SEED=N` generates
others.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seq2seq.config.command_line import launch as entry
from seq2seq.config.command_line.script import Script

FULL = bool(os.environ.get("SEQ2SEQ_FUZZ"))
SEED = int(os.environ.get("SEQ2SEQ_FUZZ_SEED", "1"))
LONGEST = 30  # CPU seconds; a configuration that takes longer hangs

KEYS = ["seed", "run", "device", "precision", "tie", "data_root"]
KEYS += ["encoder", "decoder", "attention", "encoder.hidden_size", "encoder.mode", "encoder._target_"]
KEYS += [
    "encoder._partial_",
    "trainer",
    "trainer.max_updates",
    "trainer.clip_norm",
    "trainer.max_minutes",
    "optimizer.lr",
]
KEYS += [
    "optimizer.betas",
    "optimizer._target_",
    "search.max_length",
    "search.length_penalty",
    "metrics",
    "metrics.bleu",
]
KEYS += ["metrics.bleu.tokenize", "data", "data.files", "data.files.test", "data.locale", "schedule.horizon"]
KEYS += ["init_from", "init_fresh", "freeze", "embedding", "embedding.size", "length.overlong"]
KEYS += ["defaults", "hydra", "hydra.run.dir", "experiment", "normalizer"]
VALUES = [
    *[
        "5",
        "-1",
        "1e4",
        "1_000",
        "1e400",
        ".nan",
        ".inf",
        "-.inf",
        "nan",
        "inf",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 5000,
    ],
    *["''", "x", "é", "null", "~", "true", "on", "-0.0", "0.5", "2020-06-31", "12:30:45", "a=b", "a,b", "a: b: c"],
    *[
        '"a\\0b"',
        '"\\ud800"',
        "\x00",
        "\udce9",
        "\u202e",
        "\x1b[31m",
        "\t",
        "`",
        "'",
        '"',
        "\\",
        "%x",
        "@x",
        "!x",
        "*x",
    ],
    *[
        "[]",
        "{}",
        "[1, 2]",
        "{a: 1}",
        "{1: 2}",
        "[" * 60 + "]" * 60,
        "[" * 3000 + "]" * 3000,
        "{a: " * 300 + "1" + "}" * 300,
    ],
    *[
        "&a [*a]",
        "&a {b: *a}",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!timestamp 2020-01-01",
        "!!python/object:os.system x",
    ],
    *[
        "${decoder}",
        "${encoder}",
        "${seed}",
        "${nope}",
        "${",
        "${${seed}}",
        "\\${seed}",
        "${.seed}",
        "${..x}",
        "${oc.env:}",
    ],
    *["${oc.env:HOME}", "${oc.create:${seed}}", "${oc.decode:x}", "${hydra:runtime.cwd}", "???", "'${seed} '"],
    *["glob(*)", "choice(1,2)", "range(1,5)", "range(1,1000000000)", "sort(3,1)", "interval(0,1)", "tag(a,b)", "lstm"],
    *[
        "sample_parts.Plain",
        "sample_parts.Small",
        "sample_parts",
        "seq2seq.types.Component",
        "os.system",
        "torch.optim.SGD",
    ],
    *["{_target_: sample_parts.Plain}", "{_target_: 5}", "{_target_: ???}", "{_target_: '${seed}'}"],
]
DEFAULTS = [
    *["", "~", "x", "5", "[]", "[~]", "[{}]", "[{a: 1, b: 2}]", "[5]", "[[encoder]]", "{a: b}", "[true]", "[{on: x}]"],
    *[
        "[{encoder: [lstm, gru]}]",
        "[{encoder: 5}]",
        "[{encoder: ~}]",
        "[{override /encoder: 5}]",
        "[{'': x}]",
        "[{~: x}]",
    ],
    *["[{override /encoder: [lstm]}]", "[{override /encoder: {a: b}}]", "[{override /encoder: ~}]", "['']", "['/']"],
    *["[{override /nope: x}]", "[_self_, _self_]", "[{override /encoder: gru}, {override /encoder: lstm}]", "[nope]"],
    *[
        "[/nope]",
        "[{optional encoder: x}]",
        "[{override /encoder: '${decoder}'}]",
        "[{override /encoder: ../decoder/lstm}]",
    ],
    *["[{override /encoder@x: lstm}]", "[{encoder@decoder: lstm}]", "[{override /hydra/launcher: basic}]", "[train]"],
    *['[{override /encoder: "a\\0b"}]', '[{override /encoder: "\\ud800"}]', "[experiment/tiny/mine]", "['.']"],
    *["[{override /experiment: tiny/mine}]", "[{override /encoder: gru}]", "[{override /encoder: lstm.yaml}]"],
]
BYTES = [b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b[31m", b"\xef\xbb\xbf", b"\t", b"${", b"'", b'"', b"[", b"{"]
BYTES += [b": ", b"- ", b"\n---\n", b"&a ", b"*a ", b"!!x ", b"?\n", b"%YAML 9\n", b"\n", b"#"]
NAMES = ["on", "1", "1.5", "~", "'a.b'", "a b", "''", "?", "<<", '"\\ud800"', "\x00", "[1]", "{a: 1}", "2020-01-01"]
NAMES += ["${seed}", "-1", "é", "_target_", "_partial_", "_recursive_", "'[0]'", "defaults", "=", "__class__", "hydra"]
OPTIONS = ["--cfg", "job", "--config-name=x", "-cd", "--info", "--info=all", "-m", "--multirun", "--help", "--package"]
OPTIONS += ["--resolve", "--nope", "-", "--", "-x", "--version", "--experimental-rerun", "-p", "encoder", "--run"]
WORDS = ["", "=", "==", "a", "a=", "=a", "+", "++", "~", "~encoder", "~metrics.bleu", "~metrics", "+seed=1", "++seed=2"]
WORDS += ["encoder", "encoder@x=lstm", "hydra/launcher=x", "hydra.run.dir=/x", "hydra.nope=1", "hydra=x", "a\0b=c"]
WORDS += ["\ud800=1", "seed=\udcff", "run=\0", "run=a\nb", "x" * 10_000, "seed=" + "9" * 10_000, "[a]=1", "a[0]=1"]
WORDS += ["trainer.max_updates.x=1", "data.files.x=1", "metrics.a.b.c=1", "encoder.a.x=1", "._=1", "..=1", "a..b=1"]

Run = Callable[..., tuple[int, str]]


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise BaseException(f"hangs: more than {seconds} s")  # not caught by any code below

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.fixture
def run(train: Script, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the script with these arguments, in this process; returns its exit code and stderr."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    script = replace(train, run=lambda settings: None)

    def started(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        with time_limit(LONGEST):
            try:
                code = entry._guarded(lambda: entry._launch(script, sys.argv[1:]))
            except SystemExit as ended:  # --version
                code = int(ended.code or 0)
        return code, capfd.readouterr().err

    return started


def nested(key: str, value: str) -> str:
    """The key and its value as YAML."""
    names = key.split(".")
    return "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(names))[:-1] + f" {value}\n"


def experiment(random: random.Random) -> bytes:
    text = "# @package _global_\n"
    if random.random() < 0.5:
        text += f"defaults: {random.choice(DEFAULTS)}\n"
    keys = random.sample(KEYS, random.randint(0, 2))
    return (text + "".join(nested(key, random.choice(VALUES)) for key in keys)).encode("utf-8", "surrogatepass")


def damaged(random: random.Random, raw: bytes) -> bytes:
    """The file with a few bytes inserted, removed or changed, or truncated."""
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(raw) + 1)
        head, tail = raw[:place], raw[place:]
        other = [random.choice(BYTES) + tail, tail[random.randint(1, 20) :], random.randbytes(1) + tail[1:], b""]
        raw = head + random.choices(other, [4, 2, 2, 1])[0]
    return raw


def changed(random: random.Random, raw: bytes) -> bytes:
    """The file with another value for one of its keys, or another key before it."""
    lines = raw.decode().split("\n")
    places = [number for number, line in enumerate(lines) if ":" in line and not line.lstrip().startswith("#")]
    number = random.choice(places)
    key = lines[number].partition(":")[0]
    if random.random() < 0.5:
        lines[number] = f"{key}: {random.choice(VALUES)}"
    else:
        indent = " " * (len(key) - len(key.lstrip()))
        lines.insert(number, f"{indent}{random.choice(NAMES)}: {random.choice(VALUES)}")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def command_line(random: random.Random) -> list[str]:
    words = []
    for _ in range(random.choice([1, 1, 1, 2, 3, 5])):
        kind = random.choices(["option", "word", "value"], [1, 1, 8])[0]
        if kind == "value":
            prefix = random.choice(["", "", "", "", "+", "~", "++"])
            words.append(f"{prefix}{random.choice(KEYS)}={random.choice([*VALUES, 'gru', 'translation'])}")
        else:
            words.append(random.choice(OPTIONS if kind == "option" else WORDS))
    return words


# Each range of numbers is a separate test, so that several processes can share them.
def shares(count: int) -> list[range]:
    size = 15
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


@pytest.mark.parametrize("numbers", shares(2000 if FULL else 30), ids=str)
def test_no_configuration_ends_in_a_traceback(run: Run, folder: Path, numbers: range) -> None:
    files = [path for path in sorted(folder.rglob("*.yaml")) if path.name not in ("evaluate.yaml", "translate.yaml")]
    own = folder / "experiment/tiny/mine.yaml"
    own.parent.mkdir(parents=True)
    for number in numbers:
        chance = random.Random(f"configuration {SEED} {number}")
        path = own if chance.random() < 0.3 else chance.choice(files)
        before = path.read_bytes() if path != own else b""
        how = experiment if path == own else chance.choice([damaged, changed])
        raw = experiment(chance) if path == own else how(chance, before)  # type: ignore[operator]
        path.write_bytes(raw)
        code, stderr = run(*(["experiment=tiny/mine"] if path == own else []))
        path.write_bytes(before)
        assert code in (0, 2), f"number {number}, {path.name}: {raw[-500:]!r}\n{stderr[-1500:]}"
        assert (code == 2) == (stderr != ""), f"number {number}, {path.name}: {raw[-500:]!r}\n{stderr[-1500:]}"


@pytest.mark.parametrize("numbers", shares(400 if FULL else 15), ids=str)
def test_no_command_line_ends_in_a_traceback(run: Run, numbers: range) -> None:
    for number in numbers:
        words = command_line(random.Random(f"command line {SEED} {number}"))
        code, stderr = run(*words)
        assert code in (0, 2), f"number {number}: {words}\n{stderr[-1500:]}"
