"""A composed configuration, and where each of its keys comes from: a line of a YAML file or the command line."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seq2seq.config.command_line.overrides import as_typed, read_value, take_apart
from seq2seq.config.paths import expand_paths, shorten
from seq2seq.config.problems import Mistakes, Problem, one_line
from seq2seq.config.schema import SEVERAL
from seq2seq.config.yaml_files import line_of

# Of a composed configuration: Hydra's own section, and a preset's headings, which are read from its file.
NO_SETTINGS = ("hydra", "preset")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layer:
    """One YAML file of a composition, and the key under which its content is merged ('' for the root)."""

    path: Path
    package: str


@dataclass(frozen=True)
class Composition:
    """What Hydra composed: `config` unresolved, the file chosen for each group, and what was typed."""

    config: DictConfig
    choices: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()  # later ones win
    job_suffix: str = ""  # what a multirun's job appends to its run's name
    typed: tuple[str, ...] | None = None  # all words of the command line; None: there is none
    refused: frozenset[str] = frozenset()  # groups whose typed choice does not exist: another one replaces it
    preset: Mapping[str, Any] = field(default_factory=dict)  # by dotted key, the values that a preset has set

    @property
    def command(self) -> tuple[str, ...]:
        """The words that make this configuration: those of the command line, or else the overrides."""
        return tuple(map(as_typed, self.overrides)) if self.typed is None else self.typed

    def plain(self) -> tuple[dict[str, Any], list[Problem]]:
        """The configuration as plain lists and dicts, interpolations resolved, with those that cannot be."""
        problems: list[Problem] = []
        return _plain(self.config, "", problems), problems

    def with_values(self, overrides: Sequence[str]) -> "Composition":
        """The composition with these overrides of values, as if it had been composed with them; raises Mistakes.

        A word is `key=value`, `++key=value` for a key that was not composed, or `~key` for one that goes.
        """
        config = copy.deepcopy(self.config)
        for word in overrides:
            _lay_over(config, word)
        expand_paths(config)
        return replace(self, config=config, overrides=(*self.overrides, *overrides))

    def place(self, key: str) -> str:
        """Where `key`, or the nearest key above it, was set: 'file:line' or the override as typed."""
        tried = key
        while tried:
            for override in reversed(self.overrides):
                name, _, _ = override.lstrip("+~").partition("=")
                if name == tried and name not in self.choices:
                    return as_typed(override)
            # A key that a part lacks belongs to the file that names the part's class.
            for candidate in [tried] if tried == key else [f"{tried}._target_", tried]:
                for layer in reversed(self.layers):
                    if place := _place_in(layer, candidate):
                        return place
            tried = tried[: max(tried.rfind("."), tried.rfind("["), 0)]
        return str(shorten(self.layers[0].path)) if self.layers else "configuration"

    def line(self, problem: Problem) -> str:
        """A problem as one line of a message: the place, the key unless the place says it, the text. A text that begins
        with what to type needs no place."""
        if problem.key and problem.text.startswith(f"{problem.key}="):
            return problem.text
        place = self.place(problem.key)
        named = place.startswith(f"{problem.key}=")
        return f"{place}: {problem.text}" if named or not problem.key else f"{place}: {problem.key}: {problem.text}"


def _place_in(layer: Layer, key: str) -> str | None:
    if layer.package and key != layer.package and not key.startswith(layer.package + "."):
        return None
    inner = key[len(layer.package) :].lstrip(".")
    line = line_of(layer.path, inner) if inner else 1
    return f"{shorten(layer.path)}:{line}" if line else None


def _lay_over(config: DictConfig, word: str) -> None:
    """Change the configuration by one override."""
    apart = take_apart(word)
    above, _, name = apart.key.rpartition(".")
    try:
        if apart.prefix == "~":
            with open_dict(config):
                del OmegaConf.select(config, above)[name]
            return
        value = read_value(apart.value or "")
        assert value is not None
        OmegaConf.update(config, apart.key, value.data, merge=True, force_add=apart.prefix == "++")
    except OmegaConfBaseException as error:
        raise Mistakes([f"Error merging override {word}"]) from error


def compose(config_dir: Path, name: str, overrides: Sequence[str] = ()) -> Composition:
    """Compose `<config_dir>/<name>.yaml` with these overrides; raises Mistakes where Hydra cannot."""
    from seq2seq.config.hydra_adapter import compose_config

    config = compose_config(config_dir, name, overrides)
    return composition(config, name, config.hydra)


def alone(path: Path, content: Mapping[str, Any]) -> Composition:
    """The content of one file that includes no other: what `compose` returns, without Hydra."""
    config = OmegaConf.create({key: value for key, value in content.items() if key not in ("defaults", *NO_SETTINGS)})
    expand_paths(config)
    return Composition(config=config, choices={}, layers=(Layer(path, ""),))


def composition(config: DictConfig, name: str, hydra_config: Any) -> Composition:
    """What Hydra composed from `<name>.yaml`, `hydra_config` being its own section."""
    overrides: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)  # as typed
    chosen = _chosen(config, hydra_config.runtime)
    content = OmegaConf.masked_copy(config, [str(key) for key in config if key not in NO_SETTINGS])
    expand_paths(content)
    return Composition(
        config=content,
        choices={group: _as_value(names) for group, names in sorted(chosen.items())},
        overrides=tuple(map(str, overrides)),
        layers=tuple(_layers(name, hydra_config.runtime, chosen)),
    )


def _as_value(names: Sequence[str]) -> str:
    """One choice, or several in brackets: as it is typed."""
    return names[0] if len(names) == 1 else f"[{','.join(names)}]"


def _folders(runtime: Any) -> list[Path]:
    return [Path(source.path) for source in runtime.config_sources if source.schema == "file"]


def _chosen(config: DictConfig, runtime: Any) -> dict[str, list[str]]:
    """The choices made of each group.

    Hydra does not say which they are where several can be made: each is a file with a section of its own name.
    """
    chosen = {str(key): [str(choice)] for key, choice in runtime.choices.items() if choice and "hydra/" not in str(key)}
    for group in [group for group in SEVERAL if group in config and group not in runtime.choices]:
        folders = [folder / group for folder in _folders(runtime)]
        names = [name for name in config[group] if any((folder / f"{name}.yaml").is_file() for folder in folders)]
        chosen |= {group: names} if names else {}
    return chosen


def _layers(name: str, runtime: Any, chosen: Mapping[str, Sequence[str]]) -> Iterator[Layer]:
    """The files that were merged: the script's own, then the choices, then what lies over everything (experiments)."""
    folders = _folders(runtime)
    layers: list[Layer] = []
    for key, choice in [(key, choice) for key, choices in chosen.items() for choice in choices]:
        group, _, package = key.partition("@")
        layers += [Layer(folder / group / f"{choice}.yaml", package or group.replace("/", ".")) for folder in folders]
    yield from [Layer(folder / f"{name}.yaml", "") for folder in folders if (folder / f"{name}.yaml").is_file()][:1]
    there = [_placed(layer) for layer in layers if layer.path.is_file()]
    yield from sorted(there, key=lambda layer: layer.package == "")


def _placed(layer: Layer) -> Layer:
    """The layer, at the root where its first line says so."""
    with layer.path.open(encoding="utf-8", errors="replace") as file:
        return replace(layer, package="") if "@package _global_" in file.readline() else layer


def _plain(node: Any, key: str, problems: list[Problem]) -> Any:
    """A container's content, interpolations resolved one by one so that each failure is noted."""
    if isinstance(node, DictConfig):
        return {name: _item(node, name, f"{key}.{name!s}".lstrip("."), problems) for name in node}
    if isinstance(node, ListConfig):
        return [_item(node, index, f"{key}[{index}]", problems) for index in range(len(node))]
    return node


def _item(node: DictConfig | ListConfig, name: Any, key: str, problems: list[Problem]) -> Any:
    if OmegaConf.is_missing(node, name):
        return "???"
    try:
        return _plain(node[name], key, problems)
    except OmegaConfBaseException as error:
        problems.append(Problem(key, one_line(error)))
        return None
