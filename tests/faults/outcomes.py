"""What a training leaves, as far as two trainings with the same settings must agree, bit for bit."""

import hashlib
import json
from pathlib import Path
from typing import Any

from event_files import board

from seq2seq.checkpoint import RunFolder
from seq2seq.checkpoint.read import is_intact

# Of a run's state and metrics: they depend on the time and the machine.
TIMED_STATE = {"minutes", "validating"}
TIMED = {"train/tokens_per_second", "train/seconds_per_update", "train/peak_memory"}


def outcome(run: Path) -> dict[str, Any]:
    """The last checkpoint and its state, the best one, the metrics, the curves, the tokenizer and the configuration."""
    folder = RunFolder(run)
    last = folder.checkpoint(folder.steps()[-1])
    states = {file.name: json.loads(file.read_text()) for file in (last / "state.json", last / "validated.json")}
    return {
        "weights": {file.name: _hash(file) for file in sorted(last.glob("*.safetensors"))},
        "state": {name: _without(state, TIMED_STATE) for name, state in states.items()},
        "best": str((run / "best").readlink()),
        "best weights": _hash(run / "best" / "model.safetensors"),
        "metrics": [_without(json.loads(line), TIMED) for line in (run / "metrics.jsonl").read_text().splitlines()],
        "curves": _curves(run),
        "tokenizer": {file.name: _hash(file) for file in sorted((run / "tokenizer").glob("*.model"))},
        "config": _hash(run / "config.yaml"),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    return [name for name in one if one[name] != other[name]]


def damaged(run: Path) -> list[str]:
    """The checkpoints of a run that are not as they were written."""
    folder = RunFolder(run)
    return [f"step-{step}" for step in folder.steps() if not is_intact(folder.checkpoint(step))]


def leftovers(run: Path) -> list[str]:
    """Temporary files that a finished run should not have."""
    return [str(path.relative_to(run)) for path in run.rglob("*") if path.name.startswith((".tmp-", ".old-"))]


def _curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = board(run)
    tags = [tag for tag in events.Tags()["scalars"] if tag not in TIMED]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def _without(content: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: repr(value) for key, value in content.items() if key not in keys}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
