"""All settings of a training from plain values, and plain values again."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from seq2seq.config.limits import check_limits, check_parts
from seq2seq.config.problems import Problem, did_you_mean, listed
from seq2seq.config.reading import MISSING, Reader, placeholder
from seq2seq.config.schema import TrainerSettings, TrainSettings, parts, plain_keys
from seq2seq.config.stored_run import run_name
from seq2seq.config.targets import Targets
from seq2seq.errors import ConfigError
from seq2seq.types import Part

GROUPS = parts(TrainSettings)
TRAIN_KEYS = plain_keys(TrainSettings)


def read_settings(
    plain: dict[str, Any], choices: Mapping[str, str], targets: Targets, suffix: str = ""
) -> tuple[TrainSettings | None, list[Problem]]:
    """Settings from plain values, or None where a section is missing, and the problems under their dotted keys."""
    reader = Reader(targets)
    read: dict[str, Any] = {}
    for key in plain:
        if key not in TRAIN_KEYS and key not in GROUPS:
            reader.note(
                key, f"no such key{did_you_mean(key, [*TRAIN_KEYS, *GROUPS]) or '.'} Keys: {listed(TRAIN_KEYS)}"
            )
    plain = _with_learning_rate(plain, targets)
    for key, annotation in {**TRAIN_KEYS, "run": str | None}.items():
        read[key] = reader.value(key, annotation, plain.get(key, MISSING))
        if any(re.match(rf"{key}($|\[)", problem.key) for problem in reader.problems):
            read[key] = placeholder(annotation)
    for group in GROUPS:
        read[group] = _read_group(reader, group, plain, choices)
    if not _complete(read):
        return None, reader.problems
    wrong = any(problem.key.startswith("metrics") for problem in reader.problems)
    read["trainer"] = _with_best_metric(read["trainer"], {} if wrong else read["metrics"])
    clean = to_plain(read)
    name = run_name(clean, choices) if read["run"] is None else read["run"]
    clean["run"] = read["run"] = name + suffix
    settings = TrainSettings(**read, choices=dict(choices), plain=clean)
    return settings, [
        *reader.problems,
        *check_limits(settings, reader.problems),
        *check_parts(settings, reader.problems),
    ]


def _read_group(reader: Reader, group: str, plain: dict[str, Any], choices: Mapping[str, str]) -> Any:
    value = plain.get(group)
    if value is None:
        reader.note(group, f"a part must be chosen: {group}=...")
        return None
    if GROUPS[group] is not Part:
        return reader.value(group, GROUPS[group], value)
    return reader.part(group, value, name=choices.get(group, "custom"))


def _with_learning_rate(plain: dict[str, Any], targets: Targets) -> dict[str, Any]:
    """The plain values with a number in place of `optimizer.lr: auto`: the one that the decoder's class suggests."""
    optimizer, decoder = plain.get("optimizer"), plain.get("decoder")
    if not (isinstance(optimizer, dict) and isinstance(decoder, dict) and optimizer.get("lr") == "auto"):
        return plain
    try:
        kind: Any = targets.resolve(decoder.get("_target_"))
    except ValueError:  # which is noted elsewhere
        kind = None
    return {**plain, "optimizer": {**optimizer, "lr": getattr(kind, "learning_rate", 1e-3)}}


def _with_best_metric(trainer: TrainerSettings, metrics: dict[str, Part]) -> TrainerSettings:
    """The trainer's settings with a metric in place of `best_metric: auto`: BLEU or ROUGE-L if they are measured."""
    if trainer.best_metric != "auto":
        return trainer
    try:
        measured = [name for part in metrics.values() for name in part().names]
    except (ValueError, ConfigError):  # wrong arguments, which are noted elsewhere
        measured = []
    usual = [name for name in ("bleu", "rougeL") if name in measured]
    best = [*usual, *measured, "nll"][0]
    return dataclasses.replace(trainer, best_metric=f"valid/{best}")


def _complete(read: dict[str, Any]) -> bool:
    """Whether every part and section could be made, be it with wrong values inside."""
    for key, value in read.items():
        if key in GROUPS:
            if not all(isinstance(part, Part) for part in (value.values() if isinstance(value, dict) else [value])):
                return False
        elif dataclasses.is_dataclass(TRAIN_KEYS[key]) and not dataclasses.is_dataclass(value):
            return False
    return True


def to_plain(value: Any) -> Any:
    """Settings as plain lists and dicts again: a Part becomes its YAML form, a dataclass a dict."""
    if isinstance(value, Part):
        name = f"{value.target.__module__}.{value.target.__qualname__}"
        return {"_target_": _public_name(name), "_partial_": True, **to_plain(value.arguments)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _public_name(name: str) -> str:
    """torch.optim.adamw.AdamW is torch.optim.AdamW to the outside; ours are named where they are defined."""
    words = name.split(".")
    return ".".join([*words[:2], words[-1]]) if words[:2] == ["torch", "optim"] else name
