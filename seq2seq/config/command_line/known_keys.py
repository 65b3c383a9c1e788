"""Which keys a configuration knows, and what each one holds: from its own tree and from the parts' signatures."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from seq2seq.config.problems import did_you_mean, listed
from seq2seq.config.targets import Targets, signature_of
from seq2seq.config.yaml_files import key_parts
from seq2seq.types import Part

_UNKNOWN: Any = object()


@dataclasses.dataclass(frozen=True)
class KnownKeys:
    """The keys of a plain (unresolved) tree, the fixed ones annotated by `fixed`; `borrowed` are a run's groups."""

    tree: Mapping[str, Any]
    fixed: Mapping[str, Any]
    targets: Targets
    groups: Iterable[str]
    choices: Mapping[str, str]
    borrowed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    elsewhere: Iterable[str] = ()  # keys of the run that cannot be changed

    def present(self, key: str) -> bool:
        """Whether the key is in the tree."""
        return _contains(key, {**self.borrowed, **self.tree})

    def composed(self, key: str) -> bool:
        """Whether Hydra has the key; it refuses to change any other."""
        return _contains(key, self.tree)

    def known(self, key: str) -> bool:
        """Whether the key is in the tree or may be added: an argument of a part's class, or a new entry of a dict."""
        return self.present(key) or self._annotation(key) is not _UNKNOWN

    def annotation(self, key: str) -> Any:
        """What the key holds, or Any where that is not known."""
        found = self._annotation(key)
        return Any if found is _UNKNOWN else found

    def unknown(self, key: str) -> str:
        """The message for an unknown key: similar keys, or the other keys of its section."""
        above, _, _ = key.rpartition(".")
        if above and self.known(above):
            siblings = [
                name for name in self.names() if name.startswith(f"{above}.") and "." not in name[len(above) + 1 :]
            ]
            owner = f"{above}={self.choices[above]} takes" if above in self.choices else f"{above} takes"
            inner = [name[len(above) + 1 :] for name in siblings]
            return f"no such key{did_you_mean(key[len(above) + 1 :], inner) or '.'} {owner}: {listed(inner)}"
        if key.split(".")[0] in self.elsewhere:
            return f"it belongs to the trained run; keys that can be changed are below: {listed(self.groups)}"
        close = did_you_mean(key, [*self.names(), *self.groups])
        return f"no such key{close}" if close else f"no such key. Keys: {listed({*self.tree, *self.groups})}"

    def names(self) -> list[str]:
        """Every key of the tree, inner nodes included."""
        return list(_names({**self.borrowed, **self.tree}, ""))

    def _annotation(self, key: str) -> Any:
        names = key_parts(key)
        node: Any = self.tree.get(names[0], self.borrowed.get(names[0]))
        annotation = self.fixed.get(names[0], _part_annotation(node))
        for name in names[1:]:
            annotation = self._below(annotation, node, name)
            node = node.get(name) if isinstance(node, dict) else None
            if annotation is _UNKNOWN:
                return _UNKNOWN
        return annotation

    def _below(self, annotation: Any, node: Any, name: str) -> Any:
        """The annotation of `name` inside a value with `annotation`."""
        if isinstance(node, dict) and "_target_" in node:
            try:
                signature = signature_of(self.targets.resolve(node["_target_"]))
            except ValueError:
                return _UNKNOWN
            # What the builder supplies is known too, so that the loader can say so.
            return Any if name in signature.wired else signature.annotations.get(name, _UNKNOWN)
        for member in get_args(annotation) if _is_union(annotation) else (annotation,):
            if dataclasses.is_dataclass(member) and member is not Part:
                return typing.get_type_hints(member).get(name, _UNKNOWN)
            if get_origin(member) in (dict, Mapping):
                return get_args(member)[1]
        return _UNKNOWN


def _contains(key: str, node: Any) -> bool:
    for name in key_parts(key):
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


def _part_annotation(node: Any) -> Any:
    """What a group holds: a part, or (metrics) parts by name."""
    if not isinstance(node, dict):
        return _UNKNOWN
    if "_target_" in node:
        return Part
    return dict[str, Part] if any(isinstance(item, dict) and "_target_" in item for item in node.values()) else _UNKNOWN


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (typing.Union, types.UnionType)


def _names(node: Any, key: str) -> Any:
    if key:
        yield key
    if isinstance(node, dict):
        for name, item in node.items():
            if name not in ("_target_", "_partial_"):
                yield from _names(item, f"{key}.{name}" if key else str(name))
