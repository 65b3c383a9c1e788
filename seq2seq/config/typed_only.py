"""Arguments that a run's config.yaml cannot give, such as commands: a run folder may come from anyone."""

from typing import Any

from seq2seq.config.targets import Targets
from seq2seq.types import Component


def without_typed_only(stored: dict[str, Any], targets: Targets) -> tuple[dict[str, Any], list[str]]:
    """A stored configuration with None for each argument that its class takes only from what is typed
    (`Component.typed_only`), and the dotted keys of these."""
    left_out: list[str] = []
    return _without(stored, "", targets, left_out), left_out


def _without(node: Any, key: str, targets: Targets, left_out: list[str]) -> Any:
    if isinstance(node, list):
        return [_without(item, f"{key}[{place}]", targets, left_out) for place, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    found = {name: _without(item, f"{key}.{name}".lstrip("."), targets, left_out) for name, item in node.items()}
    for name in sorted(_typed_only(node, targets) & node.keys()):
        found[name] = None
        left_out.append(f"{key}.{name}".lstrip("."))
    return found


def _typed_only(node: dict[str, Any], targets: Targets) -> frozenset[str]:
    try:
        found = targets.resolve(node["_target_"]) if "_target_" in node else None
    except ValueError:  # no class, so nothing is built from it; it is reported when the settings are read
        return frozenset()
    return found.typed_only if found is not None and issubclass(found, Component) else frozenset()
