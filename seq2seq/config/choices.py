"""The choice files on disk: groups and their names, what a script includes, and whether an experiment file is sound."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from seq2seq.config.composition import shorten
from seq2seq.config.overrides import quoted
from seq2seq.config.problems import did_you_mean, listed
from seq2seq.config.yaml_files import describe_yaml_error, line_of


@dataclass(frozen=True)
class Library:
    """A folder of configurations, with the script `name` (train, evaluate, ...) whose YAML lies at its root.

    `own` is a user's folder of more choices; no file of it has the name of another's.
    """

    folder: Path
    name: str
    own: Path | None = None

    @property
    def search_path(self) -> list[str]:
        """The words that make Hydra look into the user's own folder too."""
        return [f"hydra.searchpath=[{quoted(f'file://{self.own}')}]"] if self.own else []

    def path(self, group: str, choice: str) -> Path:
        """The file of a choice: the user's own if there is one, else where ours would lie."""
        own = self.own / group / f"{choice}.yaml" if self.own else None
        return own if own and own.is_file() else self.folder / group / f"{choice}.yaml"

    @cached_property
    def primary(self) -> Any:
        """The script's own YAML."""
        return yaml.safe_load((self.folder / f"{self.name}.yaml").read_bytes())

    @cached_property
    def groups(self) -> dict[str, str | None]:
        """The groups this script takes, with the choice each has unless another is typed."""
        entries = [entry for entry in self.primary.get("defaults", []) if isinstance(entry, dict)]
        pairs = [(str(key), value) for entry in entries for key, value in entry.items()]
        return {key.lstrip("/"): value for key, value in pairs if not key.startswith("override ")}

    @cached_property
    def all_groups(self) -> list[str]:
        """Every folder at the root, whether this script takes it or not; Hydra's own left out."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and path.name != "hydra")

    def choices(self, group: str) -> list[str]:
        """The names that can be chosen from a group; experiments are named with their folder."""
        return sorted([*_names(self.folder / group), *self.own_choices(group)])

    def own_choices(self, group: str) -> list[str]:
        """Those of them that the user's own folder adds."""
        return _names(self.own / group) if self.own else []

    def unknown_choice(self, group: str, choice: str) -> str | None:
        """What to say of a choice that does not exist; None if it does."""
        names = self.choices(group)
        if choice in names:
            return None
        return f"there is no {group} {choice!r}{did_you_mean(choice, names) or '.'} Choices: {listed(names)}"

    def groups_of_experiment(self, choice: str) -> set[str]:
        """The groups in which an experiment file chooses; none where it cannot be read."""
        try:
            content = yaml.safe_load(self.path("experiment", choice).read_bytes())
        except yaml.YAMLError:
            return set()
        entries = content.get("defaults") if isinstance(content, dict) else None
        named = [str(key) for entry in entries or [] if isinstance(entry, dict) for key in entry]
        return {_group(key) for key in named}

    def mistakes_in_experiment(self, choice: str) -> list[str]:
        """The lines on an experiment file that Hydra would refuse or misunderstand."""
        path = self.path("experiment", choice)
        text = path.read_bytes().decode(errors="replace")
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            return [f"{shorten(path)}: {describe_yaml_error(error)}"]
        lines = []
        if "# @package _global_" not in text.split("\n")[0]:
            lines.append(f"{shorten(path)}:1: the first line must be '# @package _global_'")
        if not isinstance(content, dict):
            return [*lines, f"{shorten(path)}:1: an experiment holds keys and values"]
        for index, entry in enumerate(content.get("defaults") or []):
            line = line_of(path, f"defaults[{index}]")
            lines += [f"{shorten(path)}:{line}: {text}" for text in self._mistakes_in_entry(entry)]
        return lines

    def _mistakes_in_entry(self, entry: Any) -> Iterator[str]:
        if entry == "_self_":
            return
        if not isinstance(entry, dict) or len(entry) != 1:
            yield f"expected 'override /GROUP: CHOICE', got {entry!r}"
            return
        [(key, choice)] = entry.items()
        group = _group(str(key))
        if group not in self.groups:
            yield f"there is no group {group!r}{did_you_mean(group, self.groups) or '.'} Groups: {listed(self.groups)}"
        elif str(key) != f"override /{group}":
            yield f"write 'override /{group}: {choice}', not '{key}: {choice}'"
        elif unknown := self.unknown_choice(group, str(choice)):
            yield unknown


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def _group(key: str) -> str:
    """encoder, for 'override /encoder'."""
    return key.removeprefix("override").strip().lstrip("/")
