"""A run's own configuration with what was typed over it, and what that changes."""

from collections.abc import Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from seq2seq.config.command_line.overrides import literal
from seq2seq.config.composition import Composition, Layer
from seq2seq.config.schema import TrainSettings, parts, plain_keys
from seq2seq.config.stored_run import RECORDED, flatten, move_root, run_path
from seq2seq.config.yaml_files import read_yaml


def apart(composed: Composition, kind: type) -> tuple[dict[str, Any], DictConfig]:
    """The script's own keys and groups, and what was typed for the run: a null there means 'as the run has it'."""
    names = plain_keys(kind).keys() | parts(kind).keys()
    plain = cast(dict[str, Any], OmegaConf.to_container(composed.config, resolve=False))
    own = {key: value for key, value in plain.items() if key in names and not (value is None and key in parts(kind))}
    return own, OmegaConf.create({k: value for k, value in plain.items() if k not in names and value is not None})


def over(stored: dict[str, Any], typed: DictConfig, composed: Composition) -> Composition:
    """The run's stored configuration, letter for letter, with what was typed over it: a group chosen anew replaces the
    run's."""
    base = {key: value for key, value in stored.items() if key not in RECORDED}
    if "data_root" in typed:
        base["data"] = move_root(base.get("data"), base.get("data_root"), typed["data_root"])
    chosen = {group: choice for group, choice in composed.choices.items() if group in typed}  # not the script's own
    config = OmegaConf.create({key: literal(value) for key, value in base.items() if key not in chosen})
    return Composition(
        config=cast(DictConfig, OmegaConf.merge(config, typed)),
        choices={**stored["choices"], **chosen},
        overrides=composed.overrides,
        refused=composed.refused,
        layers=(Layer(run_path(composed.config.run) / "config.yaml", ""), *composed.layers),
    )


def _marking(plain: dict[str, Any]) -> dict[str, Any]:
    """The settings that distinguish results: search, metrics, the data, wherever it is, the precision, and how many
    checkpoints checkpoint=average and average-best take."""
    data = move_root(plain["data"], plain["data_root"], "")
    sections = {"search": plain["search"], "metrics": plain["metrics"], "data": data, "precision": plain["precision"]}
    return sections | {"trainer": {"average": plain["trainer"]["average"]}}


def changes(stored: dict[str, Any], finished: TrainSettings, merged: Composition) -> dict[str, Any]:
    """What is marking and other than the run's own; of a part of another kind its choice, and what differs from the
    file."""
    before, now = _marking(stored), _marking(finished.plain)
    changed: dict[str, Any] = {}
    for group in ("search", "metrics", "data"):
        files = [layer.path for layer in merged.layers if layer.package == group]
        if files and _kinds(before[group]) != _kinds(now[group]):
            changed[group] = merged.choices[group]
            before[group] = read_yaml(files[-1])
    own = flatten(before)
    return changed | {key: value for key, value in flatten(now).items() if key not in own or own[key] != value}


def _kinds(section: Mapping[str, Any]) -> dict[str, Any]:
    """The classes that a section names, by their keys."""
    return {key: value for key, value in flatten(dict(section)).items() if key.endswith("_target_")}
