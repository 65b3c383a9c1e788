"""What the outputs of a folder depend on, in its file outputs.json: other settings would mix outputs of two models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.folder import MANIFEST, RunFolder
from seq2seq.checkpoint.read import averaged_steps, label
from seq2seq.checkpoint.storage import replace_file, sha256, storage_errors
from seq2seq.config.problems import show
from seq2seq.config.schema import AugmentSettings, TrainSettings
from seq2seq.config.stored_run import flatten
from seq2seq.data.stored import SIDES
from seq2seq.errors import ConfigError
from seq2seq.files import read_json
from seq2seq.inference.augmentation.given import CHUNK, Given
from seq2seq.inference.trained_model import TrainedModel, prefix_of

FILE = "outputs.json"
FORMAT = 1
TEMPORARY = ".tmp-*"  # files of a killed process
NONE = "(absent)"
BEFORE = {"data.source_prefix": "", "data.target_prefix": ""}  # what folders of older versions lack, as it usually was


def made_with(script: AugmentSettings, settings: TrainSettings, trained: TrainedModel, given: Given) -> dict[str, Any]:
    """Everything that the outputs depend on: the texts, the weights, the search."""
    average = settings.trainer.average
    mean = {"trainer": {"average": average}} if averaged_steps(trained.folder, script.checkpoint, average) else {}
    return {
        "format": FORMAT,
        "run": script.run,
        "checkpoint": label(script.checkpoint, trained.step),
        "weights": _weights(trained.folder, script.checkpoint, trained.step, average),
        **mean,
        "ensemble": {
            name: {
                "checkpoint": label(script.checkpoint, step),
                "weights": _weights(RunFolder.of(name), script.checkpoint, step, average),
            }
            for name, step in trained.others.items()
        },
        "input": script.input or f"split={script.split}",
        "texts": {"count": given.count, "sha256": given.digest, "per_file": CHUNK},
        "data": {f"{side}_prefix": prefix_of(settings, side) for side in SIDES},
        "n_best": script.n_best,
        "search": settings.plain["search"],
        "shortlist": script.shortlist,
        "precision": trained.runtime.precision,
        "length": {"max_source": settings.length.max_source, "overlong": settings.length.overlong},
    }


def _weights(folder: RunFolder, which: str, step: int, average: int) -> str | dict[str, str]:
    """The SHA-256 of the checkpoint's manifest, which has those of its files; of a mean, that of each checkpoint."""
    if averaged := averaged_steps(folder, which, average):
        return {f"step-{one}": sha256(folder.checkpoint(one) / MANIFEST) for one in averaged}
    best = folder.best_checkpoint() if which == "best" else None
    return sha256((best or folder.checkpoint(step)) / MANIFEST)


def open_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Begin the folder, or continue it if its outputs were made with these settings.

    Raises ConfigError, with a diff, if they were made with others, and for a folder with other files.
    """
    with storage_errors(f"write in {folder}"):
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"output={folder} is a file: name a folder")
        folder.mkdir(parents=True, exist_ok=True)
        for left in (*folder.glob(TEMPORARY), *folder.glob(f"*/{TEMPORARY}")):
            left.unlink(missing_ok=True)
        others = any(folder.iterdir())
    before = _read(folder / FILE)
    if before is None and others:
        raise ConfigError(f"output={folder} has files that this command did not write: name a new folder")
    if before is None:
        replace_file(folder / FILE, json.dumps(settings, ensure_ascii=False, indent=2) + "\n")
    elif changed := _diff(BEFORE | flatten(before), settings):
        head = f"output={folder} was made with other settings (then -> now):"
        advice = "Use its own settings to continue it, or write another one: output=FOLDER."
        raise ConfigError("\n  ".join([head, *changed]) + f"\n{advice}")


def _read(path: Path) -> dict[str, Any] | None:
    """The stored settings; None if there are none, or not in this form."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _diff(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences, one line per key."""
    old, new = flatten(dict(before)), flatten(json.loads(json.dumps(now)))

    def text(leaves: Mapping[str, Any], key: str) -> str:
        return show(leaves[key]) if key in leaves else NONE

    changed = [key for key in dict.fromkeys((*old, *new)) if old.get(key, NONE) != new.get(key, NONE)]
    return [f"{key}: {text(old, key)} -> {text(new, key)}" for key in changed]
