"""A run's name, its folder and its stored config.yaml: the settings that affect training are hashed for the name, and
compared when the run is continued."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seq2seq.config.key_rules import MAY_CHANGE, NO_KEY, NOT_STORED, keys_with, older_values
from seq2seq.config.problems import did_you_mean, listed, show
from seq2seq.config.run_links import refuse_links_out
from seq2seq.config.schema import BLOCKS, TrainSettings
from seq2seq.config.yaml_files import read_yaml, write_yaml
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.types import Part

FREE = keys_with(MAY_CHANGE, TrainSettings)
UNSTORED = keys_with(NOT_STORED, TrainSettings)
NAMING = ("data", "encoder", "attention", "decoder")  # groups whose choices name a run
RECORDED = keys_with(NO_KEY, TrainSettings)  # keys of a config.yaml that are not settings
TERMS = {  # of every objective
    **dict.fromkeys(("attention_entropy", "attention_coverage", "alignment", "scheduled_sampling"), 0.0),
    **{"alignment_shift": False, "links": None, "consistency": "none", "consistency_weight": 1.0, "cut_share": 0.05},
    "scheduled_sampling_updates": 2000,
}
# Arguments that were added to a class later. A run whose config.yaml lacks one behaved as with this value.
ADDED_LATER: dict[str, dict[str, Any]] = {
    **{
        f"seq2seq.attention.{path}": {"normed": False}
        for path in ("bahdanau.BahdanauAttention", "luong_concat.LuongConcatAttention", "coverage.CoverageAttention")
    },
    "seq2seq.attention.luong_dot.LuongDotAttention": {"scaled": False},
    "seq2seq.attention.luong_general.LuongGeneralAttention": {"scaled": False},
    "seq2seq.encoder.rnn.RnnEncoder": {"mask_end": False},
    "seq2seq.encoder.transformer.TransformerEncoder": {"distinct_layers": None, "layer_drop": 0.0},
    "seq2seq.decoder.transformer.TransformerDecoder": {"distinct_layers": None, "layer_drop": 0.0},
    "seq2seq.objective.cross_entropy.CrossEntropy": {**TERMS, "attention_penalty": 1.0},
    "seq2seq.objective.minimum_risk.MinimumRisk": TERMS,
    "seq2seq.search.greedy.GreedySearch": {"min_length": 0, "no_repeat_ngram": 0},
    "seq2seq.search.beam.BeamSearch": {"coverage_penalty": 0.0, "min_length": 0, "no_repeat_ngram": 0},
    "seq2seq.self_attention.full.FullSelfAttention": {"kv_heads": None},
    "seq2seq.search.minimum_risk.MinimumRiskSearch": {"types": ["rougeL"], "unit": "tokens", "tokenize": "13a"},
    "seq2seq.tokenizer.sentencepiece.SentencePiece": {"symbols": [], "auto_size": None},
    "seq2seq.data.embedded.cldr.CLDR": {"source_prefix": "", "target_prefix": ""},
    "seq2seq.data.embedded.docstrings.Docstrings": {"source_prefix": "", "target_prefix": ""},
    "seq2seq.data.sacrebleu.SacrebleuTestSet": {"source_prefix": "", "target_prefix": ""},
    "seq2seq.data.table.Table": {"delimiter": None, "source_prefix": "", "target_prefix": "", "both_directions": None},
    "seq2seq.data.hub.Hub": {"source_prefix": "", "target_prefix": "", "both_directions": None},
    "seq2seq.data.files.ParallelFiles": {
        **{split: {"references": []} for split in ("train", "valid", "test")},
        "extra": {"*": {"references": []}},
        "source_prefix": "",
        "target_prefix": "",
        "both_directions": None,
    },
}
# Classes that have moved to another module: the config.yaml of older runs has the old path.
MOVED = {
    "seq2seq.training.objective.CrossEntropy": "seq2seq.objective.cross_entropy.CrossEntropy",
    "seq2seq.training.minimum_risk.MinimumRisk": "seq2seq.objective.minimum_risk.MinimumRisk",
    "seq2seq.data.cldr.CLDR": "seq2seq.data.embedded.cldr.CLDR",
    "seq2seq.data.docstrings.Docstrings": "seq2seq.data.embedded.docstrings.Docstrings",
}


def run_path(run: str) -> Path:
    """The folder of a run: for NAME runs/NAME; anything with a slash is a path."""
    return Path(run) if "/" in run else Path("runs") / run


def stored_config(run: str, key: str = "run") -> dict[str, Any]:
    """The config.yaml of `run`, the value of `key`. If there is none, raises CheckpointError, which lists the runs that
    exist."""
    path = run_path(run) / "config.yaml"
    if path.exists():
        refuse_links_out(path.parent)
        return read_config(path)
    runs = path.parent.parent
    existing = sorted(found.parent.name for found in runs.glob("*/config.yaml"))
    close = did_you_mean(path.parent.name, existing)
    raise CheckpointError(f"{key}={run}: there is no {path}{close or '.'} Runs in {runs}: {listed(existing)}")


def flatten(tree: Any, key: str = "") -> dict[str, Any]:
    """Every leaf of nested dicts by its dotted key; lists and empty dicts are leaves."""
    if not isinstance(tree, dict) or (not tree and key):
        return {key: tree}
    return {
        k: v for name, item in tree.items() for k, v in flatten(item, f"{key}.{name}" if key else str(name)).items()
    }


def training_settings(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that affect training, by dotted key; paths below data_root are relative to it."""
    root = plain.get("data_root")
    tree = {key: value for key, value in plain.items() if key not in RECORDED}
    leaves = {key: value for key, value in flatten(tree).items() if not _may_change(key)}
    with_paths = ("data.", "embedding.")
    return {key: move_root(value, root, "") if key.startswith(with_paths) else value for key, value in leaves.items()}


def _may_change(key: str) -> bool:
    """Whether a run may be continued with another value of the dotted key: it, or a section above it, is MAY_CHANGE."""
    return any(key[: dot.start()] in FREE for dot in re.finditer(r"\.|$", key))


def move_root(value: Any, old: Any, new: str) -> Any:
    """`value` with every path below the folder `old` moved below `new`; relative, if `new` is empty."""
    if isinstance(value, dict):
        return {key: move_root(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [move_root(item, old, new) for item in value]
    # Text without a slash may be equal to data_root by chance (data_root=data), so only text with one is a path.
    if (
        isinstance(value, str)
        and isinstance(old, str)
        and old
        and "/" in value
        and f"{value}/".startswith(f"{old.rstrip('/')}/")
    ):
        inner = value[len(old.rstrip("/")) :].lstrip("/")
        return f"{new.rstrip('/')}/{inner}" if new else inner
    return value


def run_name(plain: Mapping[str, Any], choices: Mapping[str, str]) -> str:
    """A name for these settings: the experiment's name or those of its parts, and a hash of what affects training.

    Settings that were added later are not part of it where a run without them behaves alike: the name stays the same.
    """
    words = choices.get("experiment") or "-".join(choices.get(group, "custom") for group in NAMING)
    parts = {key: _for_keys(part, _added_later(part)) for key, part in plain.items() if isinstance(part, dict)}
    before = flatten(parts) | flatten(older_values(TrainSettings))
    leaves = training_settings(plain)
    hashed = {key: value for key, value in leaves.items() if key not in before or before[key] != value}
    digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', words)}-{digest[:8]}"


def _added_later(section: Any) -> dict[str, Any]:
    """The arguments of a section's class that were added later, with the values that runs without them behave as."""
    return ADDED_LATER.get(str(section.get("_target_")), {}) if isinstance(section, Mapping) else {}


def diff(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences that affect training, one line per key: 'seed: 1 -> 2'."""
    old, now = training_settings(stored), training_settings(new)

    def as_text(leaves: dict[str, Any], key: str) -> str:
        return show(leaves[key]) if key in leaves else "(absent)"

    keys = [*old, *(key for key in now if key not in old)]
    changed = [key for key in keys if key not in old or key not in now or old[key] != now[key]]
    return [f"{key}: {as_text(old, key)} -> {as_text(now, key)}" for key in changed]


def effective_settings(
    settings: TrainSettings, stored: Mapping[str, Any] | None, precision: str | None = None
) -> TrainSettings:
    """The settings with which the run starts, or continues if `stored` (its config.yaml) is given.

    `schedule.horizon: null` becomes the run's first `trainer.max_updates`, and keeps this value when the limit is
    raised. If the run's length also depends on the data or the time, it remains null: the planned number is part of the
    run's state. `precision` is what precision=auto has meant in this run so far: typing that value is no change.
    Raises ConfigError with a diff if a setting that affects training has changed.
    """
    if "horizon" in settings.schedule.arguments and settings.schedule.arguments["horizon"] is None:
        first = first_horizon(settings) if stored is None else _stored_horizon(stored)
        settings = _with_horizon(settings, first)
    if stored is not None and stored.get("precision") == "auto" and settings.precision == precision:
        settings = replace(settings, precision="auto", plain={**settings.plain, "precision": "auto"})
    changed = diff(stored, settings.plain) if stored is not None else []
    if changed:
        head = f"run={settings.run} was started with other settings (then -> now):"
        advice = "Use its own settings to continue it, or start another run: run=NAME."
        raise ConfigError("\n  ".join([head, *changed]) + f"\n{advice}")
    return settings


def _stored_horizon(stored: Mapping[str, Any]) -> int | None:
    """The schedule's horizon in a config.yaml. Raises ConfigError where it is no number of updates."""
    schedule = stored.get("schedule")
    horizon = schedule.get("horizon") if isinstance(schedule, dict) else None
    if horizon is not None and (not isinstance(horizon, int) or not 0 < horizon < 2**63):
        raise ConfigError(f"config.yaml: schedule.horizon: expected a whole number or null, got {show(horizon)}")
    return horizon


def first_horizon(settings: TrainSettings) -> int | None:
    """The number of updates of a new run, if the settings alone determine it: trainer.max_updates is the only limit."""
    trainer = settings.trainer
    only_limit = trainer.max_epochs is None and trainer.max_minutes is None
    return trainer.max_updates or None if isinstance(trainer.max_updates, int) and only_limit else None


def _with_horizon(settings: TrainSettings, horizon: int | None) -> TrainSettings:
    part = settings.schedule
    schedule = Part(part.name, part.target, {**part.arguments, "horizon": horizon})
    plain = {**settings.plain, "schedule": {**settings.plain["schedule"], "horizon": horizon}}
    return replace(settings, schedule=schedule, plain=plain)


def write_config(settings: TrainSettings, path: Path) -> None:
    """Write a run's config.yaml: the resolved settings, the choices, the preset's values and the command
    line."""
    plain = {key: value for key, value in settings.plain.items() if key not in UNSTORED}
    origin = {"choices": settings.choices, "preset": dict(settings.preset), "command": list(settings.command)}
    write_yaml({**plain, "run": settings.run, **origin}, path)


def read_config(path: Path) -> dict[str, Any]:
    """A run's config.yaml as plain lists and dicts; raises CheckpointError naming the file if it is broken."""
    stored = read_yaml(path)
    if not isinstance(stored.setdefault("preset", {}), dict):
        raise CheckpointError(f"{path}: preset: expected keys with their values, got {show(stored['preset'])}")
    words = stored.setdefault("command", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise CheckpointError(f"{path}: command: expected a list of words, got {show(words)}")
    for key in ("choices", "encoder", "decoder", "tokenizer"):
        if not isinstance(stored.get(key), dict):
            raise CheckpointError(f"{path}: not the configuration of a run: it has no section {key}")
    sections = {key: value for key, value in stored.items() if isinstance(value, dict)}
    for section in sections.values():
        target = section.get("_target_")
        if isinstance(target, str) and target in MOVED:
            section["_target_"] = MOVED[target]
    for key, value in sections.items():
        stored[key] = _completed(value, _added_later(value))
    for key, value in older_values(TrainSettings).items():
        parent, _, name = key.rpartition(".")
        owner: Any = stored.get(parent) if parent else stored
        if isinstance(owner, dict):  # if it is not a dict, that is reported when the settings are read
            owner.setdefault(name, copy.deepcopy(value))
    stored["choices"] = {**{group: choice for group, (choice, _) in BLOCKS.items()}, **stored["choices"]}
    return stored


def _completed(stored: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`stored` with the missing keys added from `defaults`, recursively. The key `*` applies to every key."""
    defaults = _for_keys(stored, defaults)
    sections = {
        key: _completed(stored[key], value)
        for key, value in defaults.items()
        if isinstance(value, dict) and isinstance(stored.get(key), dict)
    }
    return {**defaults, **stored, **sections}


def _for_keys(stored: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` with the keys of `stored` for `*`, recursively."""
    found = dict.fromkeys(stored, defaults["*"]) if "*" in defaults else dict(defaults)
    inner = {key for key, value in found.items() if isinstance(value, dict) and isinstance(stored.get(key), dict)}
    return {key: _for_keys(stored[key], value) if key in inner else value for key, value in found.items()}
