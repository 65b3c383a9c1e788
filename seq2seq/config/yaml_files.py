"""YAML files as text: reading a run's config.yaml, writing it, and finding the line on which a key stands."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from seq2seq.errors import CheckpointError, storage_failure

# YAML 1.1 reads 1e-4 as text and Hydra as a number; we read as Hydra does and quote what would be taken for a number.
_FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


class _Loader(yaml.SafeLoader):
    """Safe YAML whose numbers are those of Hydra's."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes every text which a reader could take for a number."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML folds these line breaks unless they are escaped, which needs double quotes.
    style = '"' if re.search("[\x85\u2028\u2029]", text) else "'" if _FLOAT.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def write_yaml(content: dict[str, Any], path: Path) -> None:
    """Write plain lists and dicts as YAML, keys in their own order; the file is there whole or not at all.

    Raises StorageError.
    """
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    beside = path.with_name(f".tmp-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(text.encode())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise storage_failure(f"write {path}", error) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A run's own YAML file as plain lists and dicts; raises CheckpointError if it is missing or broken."""
    try:
        content = yaml.load(path.read_bytes().decode(), Loader=_Loader)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CheckpointError(f"{path}: {describe_yaml_error(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no configuration (keys and values expected)")
    return content


def describe_yaml_error(error: yaml.YAMLError) -> str:
    """A YAML error in one line, with its line number."""
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error).replace("\n", " ")
    return f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else text


def line_of(path: Path, key: str) -> int | None:
    """The line, from 1, on which the dotted `key` (`a.b[0].c`) stands in a YAML file; None if it does not."""
    node = _tree(path, path.stat().st_mtime_ns)
    line = None
    for name in key_parts(key):
        found = _child(node, name)
        if found is None:
            return None
        line, node = found
    return line


def key_parts(key: str) -> list[str]:
    """The names on the way to a dotted key: a.b[0].c -> a, b, 0, c."""
    return [part for part in re.split(r"[.\[\]]", key) if part]


@cache
def _tree(path: Path, _modified: int) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_bytes().decode(), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError):
        return None


def _child(node: yaml.Node | None, name: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) == name:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
        item = node.value[int(name)]
        return item.start_mark.line + 1, item
    return None
