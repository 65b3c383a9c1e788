"""The one loader: a composition becomes settings, or every mistake in it becomes one error."""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf

from seq2seq.config.command_line.overrides import as_typed, literal
from seq2seq.config.composition import Composition, Layer
from seq2seq.config.extensions import allow, extension_problems, others_line
from seq2seq.config.limits import check_limits, check_parts, check_script
from seq2seq.config.problems import Mistakes, Problem, did_you_mean, listed
from seq2seq.config.reading import MISSING, Reader, stand_in
from seq2seq.config.schema import (
    SEVERAL,
    AttentionMapSettings,
    CompareSettings,
    EvaluateSettings,
    ScoreSettings,
    TrainerSettings,
    TrainSettings,
    TranslateSettings,
)
from seq2seq.config.stored_run import flatten, move_root, run_name, run_path, stored_config
from seq2seq.config.targets import Targets
from seq2seq.config.yaml_files import read_yaml
from seq2seq.errors import ConfigError
from seq2seq.types import Part

S = TypeVar("S", bound=EvaluateSettings | TranslateSettings | ScoreSettings | AttentionMapSettings)
Check = Callable[[TrainSettings], list[str]]
FIELDS: dict[str, Any] = typing.get_type_hints(TrainSettings)
GROUPS: tuple[str, ...] = (*(name for name, annotation in FIELDS.items() if annotation is Part), *SEVERAL)
# The keys of scripts/train.py that are no parts; `run` is made from the others where it is null.
TRAIN_KEYS: dict[str, Any] = {
    **{name: kind for name, kind in FIELDS.items() if name not in (*GROUPS, "choices", "plain")},
}
# The plain keys of the other scripts: their own, and those of the run that may be given anew (null: as the run has it).
_OF_RUN = {
    **{key: FIELDS[key] | None for key in ("seed", "device", "precision")},
    "cache_dir": str,
    "extensions": list[str],
}
EVALUATE_KEYS: dict[str, Any] = {
    **{name: kind for name, kind in typing.get_type_hints(EvaluateSettings).items() if name != "changed"},
    **_OF_RUN,
    "data_root": str | None,
}
TRANSLATE_KEYS: dict[str, Any] = {
    **{name: kind for name, kind in typing.get_type_hints(TranslateSettings).items() if name != "changed"},
    **_OF_RUN,
}
SCORE_KEYS: dict[str, Any] = {
    **{name: kind for name, kind in typing.get_type_hints(ScoreSettings).items() if name != "changed"},
    **_OF_RUN,
    "data_root": str | None,
}
COMPARE_KEYS: dict[str, Any] = {
    name: kind for name, kind in typing.get_type_hints(CompareSettings).items() if name != "typed"
}
ATTENTION_KEYS: dict[str, Any] = {
    **{name: kind for name, kind in typing.get_type_hints(AttentionMapSettings).items() if name != "changed"},
    **_OF_RUN,
    "data_root": str | None,
}


def load_train(composed: Composition, *, checks: Sequence[Check] = (), targets: Targets | None = None) -> TrainSettings:
    """Settings from a composition; raises Mistakes with a line for each thing that is wrong.

    `checks` are asked once the settings can be read: each returns lines on combinations that cannot work.
    """
    plain, problems = composed.plain()
    problems += extension_problems(plain.get("extensions"))
    if isinstance(plain.get("extensions"), list):
        plain["extensions"] = allow(plain["extensions"])
    settings, found = read_settings(plain, composed.choices, targets or Targets(), composed.job_suffix)
    return _finished(settings, composed, [*problems, *found], checks)


def _finished(
    settings: TrainSettings | None, composed: Composition, problems: Sequence[Problem], checks: Sequence[Check]
) -> TrainSettings:
    """The settings, if nothing at all is wrong with them."""
    lines = [composed.line(problem) for problem in problems if problem.key.split(".")[0] not in composed.refused]
    guessed = any(problem.key.split(".")[0] in ("tie", "embedding") for problem in problems)
    if settings is not None and not composed.refused and not guessed:
        lines += ask(checks, settings, certain=not lines)
    if lines or settings is None:
        raise Mistakes(lines)
    return settings


def ask(checks: Sequence[Check], settings: TrainSettings, *, certain: bool) -> list[str]:
    """The checks' lines. Beside other mistakes (not `certain`) a check may stumble over a wrong argument."""
    lines = []
    for check in checks:
        try:
            lines += check(settings)
        except Exception:
            if certain:
                raise
    return lines


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
            read[key] = stand_in(annotation)
    for group in GROUPS:
        read[group] = _read_group(reader, group, plain, choices)
    if not _complete(read):
        return None, reader.problems
    read["trainer"] = _with_best_metric(read["trainer"], read["metrics"])
    clean = to_plain(read)
    name = run_name(clean, choices) if read["run"] is None else read["run"]
    clean["run"] = read["run"] = name + suffix
    settings = TrainSettings(**read, choices=dict(choices), plain=clean)
    return settings, [
        *reader.problems,
        *check_limits(settings, reader.problems),
        *check_parts(settings, reader.problems),
    ]


def load_run(
    composed: Composition, kind: type[S], *, checks: Sequence[Check] = (), targets: Targets | None = None
) -> tuple[S, TrainSettings]:
    """A script's own settings (`kind`) and those of the run it works on, changed only by what was typed.

    Raises Mistakes, or CheckpointError where there is no such run.
    """
    own, typed = _apart(composed, kind)
    reader = Reader(targets or Targets())
    script = reader.section("", kind, {**own, "changed": {}})
    if not isinstance(own.get("run"), str) or script is None:
        raise Mistakes([composed.line(problem) for problem in reader.problems])
    stored = stored_config(own["run"])
    given = cast(dict[str, Any], OmegaConf.to_container(typed)).get("extensions")
    wrong = extension_problems(given)
    allow(given)
    if line := others_line(stored, reader.targets.packages, key="run", run=own["run"]):
        raise Mistakes([*map(composed.line, wrong), line])
    merged = _over(stored, typed, composed)
    plain, problems = merged.plain()
    settings, found = read_settings({**plain, "run": own["run"]}, merged.choices, reader.targets)
    finished = _finished(
        settings, merged, [*reader.problems, *check_script(script, reader.problems), *wrong, *problems, *found], checks
    )
    return dataclasses.replace(script, changed=_changes(stored, finished, merged)), finished


def load_stored(run: str, *, data_root: str | None = None, key: str = "run") -> TrainSettings:
    """The own settings of the existing run that `key` names, under the name it has now; its corpora may have moved to
    `data_root`.

    Raises CheckpointError where there is no such run, Mistakes where this version cannot read its settings.
    """
    stored = stored_config(run, key)
    if line := others_line(stored, Targets().packages, key=key, run=run):
        raise Mistakes([line])
    if data_root is not None:
        stored |= {"data": move_root(stored["data"], stored["data_root"], data_root), "data_root": data_root}
    config = OmegaConf.create(
        {key: literal(value) for key, value in {**stored, "run": run}.items() if key != "choices"}
    )
    layer = Layer(run_path(run) / "config.yaml", "")
    composed = Composition(config=config, choices=stored["choices"], layers=(layer,))
    plain, problems = composed.plain()
    settings, found = read_settings(plain, composed.choices, Targets())
    return _finished(settings, composed, [*problems, *found], [])


def load_compare(composed: Composition) -> CompareSettings:
    """The settings of scripts/compare.py; raises Mistakes."""
    plain, problems = composed.plain()
    reader = Reader(Targets())
    typed = [as_typed(word) for word in composed.overrides]
    script = reader.section("", CompareSettings, {**plain, "typed": typed})
    allow(plain.get("extensions"))
    wrong = [*problems, *reader.problems, *extension_problems(plain.get("extensions"))]
    wrong += check_script(script, reader.problems) if script else []
    if wrong:
        raise Mistakes([composed.line(problem) for problem in wrong])
    return cast(CompareSettings, script)


def _apart(composed: Composition, kind: type) -> tuple[dict[str, Any], DictConfig]:
    """The script's own keys, and what was typed for the run: a null there means 'as the run has it'."""
    names = {field.name for field in dataclasses.fields(kind)} - {"changed"}
    plain = cast(dict[str, Any], OmegaConf.to_container(composed.config, resolve=False))
    own = {key: value for key, value in plain.items() if key in names}
    return own, OmegaConf.create({k: value for k, value in plain.items() if k not in names and value is not None})


def _over(stored: dict[str, Any], typed: DictConfig, composed: Composition) -> Composition:
    """The run's stored configuration, letter for letter, with what was typed over it: a group chosen anew replaces the
    run's."""
    base = {key: value for key, value in stored.items() if key != "choices"}
    if "data_root" in typed:
        base["data"] = move_root(base["data"], base["data_root"], typed["data_root"])
    chosen = dict(composed.choices)
    config = OmegaConf.create({key: literal(value) for key, value in base.items() if key not in chosen})
    return Composition(
        config=cast(DictConfig, OmegaConf.merge(config, typed)),
        choices={**stored["choices"], **chosen},
        overrides=composed.overrides,
        refused=composed.refused,
        layers=(Layer(run_path(composed.config.run) / "config.yaml", ""), *composed.layers),
    )


def _marking(plain: dict[str, Any]) -> dict[str, Any]:
    """What tells one result from another: search, metrics, the data, wherever they lie, and the precision."""
    data = move_root(plain["data"], plain["data_root"], "")
    return {"search": plain["search"], "metrics": plain["metrics"], "data": data, "precision": plain["precision"]}


def _changes(stored: dict[str, Any], finished: TrainSettings, merged: Composition) -> dict[str, Any]:
    """What is marking and other than the run's own; of a part of another kind its choice, and what differs from the
    file."""
    before, now = _marking(stored), _marking(finished.plain)
    told: dict[str, Any] = {}
    for group in ("search", "metrics", "data"):
        files = [layer.path for layer in merged.layers if layer.package == group]
        if files and _kinds(before[group]) != _kinds(now[group]):
            told[group] = merged.choices[group]
            before[group] = read_yaml(files[-1])
    own = flatten(before)
    return told | {key: value for key, value in flatten(now).items() if key not in own or own[key] != value}


def _kinds(section: Mapping[str, Any]) -> dict[str, Any]:
    """The classes that a section names, by their keys."""
    return {key: value for key, value in flatten(dict(section)).items() if key.endswith("_target_")}


def _read_group(reader: Reader, group: str, plain: dict[str, Any], choices: Mapping[str, str]) -> Any:
    value = plain.get(group)
    if value is None:
        reader.note(group, f"a part must be chosen: {group}=...")
        return None
    if group in SEVERAL:
        return reader.value(group, dict[str, Part], value)
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
    made = {key: value for key, value in read.items() if key in GROUPS or dataclasses.is_dataclass(TRAIN_KEYS[key])}
    several = [made.pop(group) for group in SEVERAL]
    inner = [part for parts in several for part in (parts.values() if isinstance(parts, dict) else [None])]
    return all(isinstance(value, Part) or dataclasses.is_dataclass(value) for value in [*made.values(), *inner])


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
