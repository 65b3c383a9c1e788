"""Any files and any command line give exit code 0 or 2, never a traceback."""

import json
import random
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from faults.conftest import Campaign
from faults.damage import damaged_json, time_limit
from faults.strange_settings import BYTES, DEFAULTS, KEYS, NAMES, OPTIONS, VALUES, WORDS
from unit.config import conftest as small_tree

from seq2seq.config import CONFIGS, compose
from seq2seq.config.command_line import launch as entry
from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import alone
from seq2seq.config.loading import load_train
from seq2seq.config.problems import Mistakes

SEED = 1
SIDES = ("source", "target")
folder, train, usual_cache_folder = small_tree.folder, small_tree.train, small_tree.usual_cache_folder  # fixtures

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(train: Script, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the script with these arguments, in this process; returns its exit code and stderr."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    script = replace(train, run=lambda settings: None)

    def started(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        with time_limit():
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
    if not places:
        return raw
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


def test_no_configuration_ends_in_a_traceback(run: Run, folder: Path, campaign: Campaign) -> None:
    files = [path for path in sorted(folder.rglob("*.yaml")) if path.name not in ("evaluate.yaml", "translate.yaml")]
    own = folder / "experiment/tiny/mine.yaml"
    own.parent.mkdir(parents=True)
    wrong = []
    trials = campaign.trials(2000, fast=4)
    for number in range(trials):
        chance = random.Random(f"configuration {SEED} {number}")
        path = own if chance.random() < 0.3 else chance.choice(files)
        before = path.read_bytes() if path != own else b""
        how = experiment if path == own else chance.choice([damaged, changed])
        raw = experiment(chance) if path == own else how(chance, before)  # type: ignore[operator]
        path.write_bytes(raw)
        code, stderr = run(*(["experiment=tiny/mine"] if path == own else []))
        path.write_bytes(before)
        if code not in (0, 2) or (code == 2) != (stderr != ""):
            wrong.append(f"seed {SEED}, number {number}, {path.name}: {raw[-500:]!r}\n{stderr[-1500:]}")
    campaign.report("fuzzed configurations", trials=trials, tracebacks=len(wrong))
    assert not wrong, "\n".join(wrong[:3])


def test_no_command_line_ends_in_a_traceback(run: Run, campaign: Campaign) -> None:
    wrong = []
    trials = campaign.trials(500, fast=4)
    for number in range(trials):
        words = command_line(random.Random(f"command line {SEED} {number}"))
        code, stderr = run(*words)
        if code not in (0, 2):
            wrong.append(f"seed {SEED}, number {number}: {words}\n{stderr[-1500:]}")
    campaign.report("fuzzed command lines", trials=trials, tracebacks=len(wrong))
    assert not wrong, "\n".join(wrong[:3])


def test_no_settings_end_in_a_traceback(campaign: Campaign, tmp_path: Path) -> None:
    """The real configuration with other values, keys and types in one or two places, through the validator."""
    words = ["data=files", "run=x", *(f"data.{split}.{side}=x" for split in ("train", "valid") for side in SIDES)]
    plain, _ = compose(CONFIGS, "train", words).plain()
    file = tmp_path / "config.yaml"
    file.write_text("{}")
    before = json.dumps(plain).encode()
    wrong, refused = [], 0
    trials = campaign.trials(8000, fast=20)
    for number in range(trials):
        chance = random.Random(f"settings {SEED} {number}")
        try:
            content = json.loads(damaged_json(chance, before))
        except (ValueError, RecursionError):  # not JSON any more
            continue
        try:
            with time_limit():
                load_train(alone(file, content if isinstance(content, dict) else {"x": content}))
        except Mistakes:
            refused += 1
        except BaseException:
            wrong.append(f"seed {SEED}, number {number}:\n{traceback.format_exc()[-1500:]}")
    campaign.report("fuzzed settings", trials=trials, refused=refused, tracebacks=len(wrong))
    assert not wrong, "\n".join(wrong[:3])
