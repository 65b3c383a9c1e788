"""The choice files on disk: groups and their names, what a script includes, and whether an experiment file is sound."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2seq.config.command_line.overrides import choice_names, quoted
from seq2seq.config.paths import shorten
from seq2seq.config.problems import Mistakes, did_you_mean, listed, show
from seq2seq.config.yaml_files import line_of
from seq2seq.config.yaml_reading import NotYaml, parse_yaml


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
        """The script's own YAML, over that of a script whose words it takes too (`- train` among its defaults).

        Raises Mistakes where one is broken: nothing can be said without it.
        """
        return self._root_file(self.name)

    def _root_file(self, name: str) -> Any:
        path = self.folder / f"{name}.yaml"
        if lines := mistakes_in_file(path):
            raise Mistakes(lines)
        content = parse_yaml(path.read_bytes())
        entries = content.get("defaults") or []
        for below in [entry for entry in entries if isinstance(entry, str) and entry != "_self_"]:
            base = self._root_file(below)
            content = {**base, **content, "defaults": [*(base.get("defaults") or []), *entries]}
        return content

    @cached_property
    def groups(self) -> dict[str, str | list[str] | None]:
        """The groups this script takes, with the choice each has unless another is typed; a list of them where it takes
        several."""
        entries = [entry for entry in self.primary.get("defaults") or [] if isinstance(entry, dict)]
        pairs = [(str(key), value) for entry in entries for key, value in entry.items()]
        return {key.lstrip("/"): value for key, value in pairs if not key.startswith("override ")}

    @property
    def includes_files(self) -> bool:
        """Whether the script's YAML includes other files before anything is typed."""
        entries = self.primary.get("defaults") or []
        return any(self.groups.values()) or any(isinstance(entry, str) and entry != "_self_" for entry in entries)

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

    def takes_several(self, group: str) -> bool:
        """Whether several choices of a group may be made at the same time, in brackets."""
        return isinstance(self.groups.get(group), list)

    def groups_of_experiment(self, choice: str) -> set[str]:
        """The groups in which an experiment file chooses; none where it cannot be read."""
        return set(self._chosen_by_experiment(choice))

    def _chosen_by_experiment(self, choice: str) -> dict[str, list[str]]:
        entries = _defaults(self.path("experiment", choice))
        pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
        return {_group(key): names for key, choice in pairs if (names := _names_in(choice))}

    def mistakes_in_choices(self, chosen: Mapping[str, str]) -> list[str]:
        """The lines on the choice files that are read with these choices, and cannot be; the experiment's apart."""
        experiment = chosen.get("experiment") or self.groups.get("experiment")
        inner = self._chosen_by_experiment(str(experiment)) if experiment and experiment != "null" else {}
        named = {group: _names_in(choice) for group, choice in self.groups.items()} | inner
        named |= {group: choice_names(value) for group, value in chosen.items()} | {"experiment": []}
        chosen_files = [(group, name) for group, names in named.items() for name in names if name != "null"]
        return [line for path in self._with_bases(chosen_files) for line in mistakes_in_file(path)]

    def _with_bases(self, choices: Iterable[tuple[str, str]]) -> list[Path]:
        """The files of these (group, name) pairs that exist, and those that their defaults name, and so on."""
        found: list[Path] = []
        waiting = list(choices)
        while waiting:
            group, name = waiting.pop(0)
            path = self.path(group, name)
            if path.is_file() and path not in found:
                found.append(path)
                waiting += _named_in_defaults(group, path)
        return found

    def mistakes_in_experiment(self, choice: str) -> list[str]:
        """The lines on an experiment file that Hydra would refuse or misunderstand."""
        path = self.path("experiment", choice)
        if lines := mistakes_in_file(path):
            return lines
        raw = path.read_bytes()
        content = parse_yaml(raw) or {}
        lines = []
        if b"# @package _global_" not in raw.split(b"\n")[0]:
            lines.append(f"{shorten(path)}:1: the first line must be '# @package _global_'")
        for index, entry in enumerate(content.get("defaults", [])):
            line = line_of(path, f"defaults[{index}]")
            lines += [f"{shorten(path)}:{line}: {text}" for text in self._mistakes_in_entry(entry)]
        return lines

    def _mistakes_in_entry(self, entry: Any) -> Iterator[str]:
        if entry == "_self_":
            return
        if not isinstance(entry, dict) or len(entry) != 1:
            yield f"expected 'override /GROUP: CHOICE', got {show(entry)}"
            return
        [(key, choice)] = entry.items()
        group = _group(key)
        if group not in self.groups:
            yield f"there is no group {group!r}{did_you_mean(group, self.groups) or '.'} Groups: {listed(self.groups)}"
            return
        names = _names_in(choice) if self.takes_several(group) or not isinstance(choice, list) else []
        if not names:
            yield f"expected the name of one {group}, got {show(choice)}"
        elif key != f"override /{group}":
            yield f"write 'override /{group}: {choice}', not '{key}: {choice}'"
        else:
            yield from filter(None, [self.unknown_choice(group, name) for name in names])


def _names_in(choice: Any) -> list[str]:
    """The choices that an entry of a defaults list names, one or a list of them; none where it is neither."""
    names = choice if isinstance(choice, list) else [choice]
    return names if all(isinstance(name, str) for name in names) else []


def _defaults(path: Path) -> list[Any]:
    """The entries of a file's defaults list; none where the file or the list cannot be read, which is reported
    elsewhere."""
    try:
        content = parse_yaml(path.read_bytes())
    except (OSError, NotYaml):
        return []
    entries = content.get("defaults") if isinstance(content, dict) else None
    return entries if isinstance(entries, list) else []


def _named_in_defaults(group: str, path: Path) -> list[tuple[str, str]]:
    """The (group, name) pairs in the defaults of a file of `group`."""
    found = []
    for entry in _defaults(path):
        pairs = entry.items() if isinstance(entry, dict) else [("", entry)]
        for key, choice in pairs:
            word = str(key).removeprefix("override").removeprefix("optional").strip().partition("@")[0]
            inside = word.lstrip("/") if word.startswith("/") else f"{group}/{word}".rstrip("/")
            found += [(inside, name.partition("@")[0]) for name in _names_in(choice) if name != "_self_"]
    return found


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def mistakes_in_file(path: Path) -> list[str]:
    """The lines on a file that Hydra could not read: one at most says why; of its defaults all that is wrong."""
    try:
        content = parse_yaml(path.read_bytes())
    except OSError as error:
        return [f"{shorten(path)}: cannot be read: {error.strerror}"]
    except NotYaml as error:
        return [f"{shorten(path)}: {error}"]
    if not isinstance(content, dict | None):
        return [f"{shorten(path)}:1: expected keys and values, got {show(content)}"]
    if content is None or "defaults" not in content:
        return []
    entries, line = content["defaults"], line_of(path, "defaults")
    if not isinstance(entries, list):
        return [f"{shorten(path)}:{line}: defaults: expected a list of 'GROUP: CHOICE', got {show(entries)}"]
    wrong = [(index, entry) for index, entry in enumerate(entries) if not _is_default(entry)]
    places = [(line_of(path, f"defaults[{index}]"), entry) for index, entry in wrong]
    return [f"{shorten(path)}:{at}: defaults: expected 'GROUP: CHOICE', got {show(entry)}" for at, entry in places]


def _is_default(entry: Any) -> bool:
    """Whether an entry of a defaults list is one that Hydra knows: a file, or one choice (or several) of a group."""
    if isinstance(entry, str):
        return entry.strip("/") != ""
    if not isinstance(entry, dict) or len(entry) != 1:
        return False
    [(key, choice)] = entry.items()
    names = choice if isinstance(choice, list) else [choice]
    return bool(key) and all(isinstance(name, str | None) for name in names)


def _group(key: str) -> str:
    """encoder, for 'override /encoder'."""
    return key.removeprefix("override").strip().lstrip("/")
