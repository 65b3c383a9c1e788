"""YAML files as text: reading a run's config.yaml, writing it, and finding the line number of a key."""

import hashlib
import re
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from seq2seq.config.yaml_reading import FLOAT, LARGEST, Loader, NotYaml, parse_yaml
from seq2seq.errors import CheckpointError, storage_failure
from seq2seq.files import flush_folder, read_bounded, write_flushed

SEAL = "# SHA-256 of the lines below: "


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes every text which a reader could take for a number."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML folds these line breaks unless they are escaped, which needs double quotes.
    style = '"' if re.search("[\x85\u2028\u2029]", text) else "'" if FLOAT.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def write_yaml(content: dict[str, Any], path: Path) -> None:
    """Write plain lists and dicts as YAML, keys in their own order, below a line with the SHA-256 of the rest; the file
    is on the disk whole or not at all.

    Raises StorageError.
    """
    raw = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120).encode()
    temporary = path.with_name(f".tmp-{path.name}-{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flushed(temporary, SEAL.encode() + hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw)
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_failure(f"write {path}", error) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A run's own YAML file as plain lists and dicts; raises CheckpointError if it is missing, broken or changed."""
    try:
        raw = read_bounded(path, LARGEST)
        if raw.startswith(SEAL.encode()):  # older runs have none
            seal, _, rest = raw.partition(b"\n")
            if seal.decode(errors="replace") != SEAL + hashlib.sha256(rest).hexdigest():
                advice = "restore it from a copy, or remove that line if you made the change"
                raise CheckpointError(
                    f"{path} has changed since it was written (the SHA-256 in its first line does not match); {advice}"
                )
        content = parse_yaml(raw)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except NotYaml as error:
        raise CheckpointError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: contains no configuration (keys and values expected)")
    return content


def line_of(path: Path, key: str) -> int | None:
    """The line number, from 1, of the dotted `key` (`a.b[0].c`) in a YAML file; None if it is not there."""
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
        return yaml.compose(path.read_bytes().decode(), Loader=Loader)
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
