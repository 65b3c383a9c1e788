"""Where the choices lie, and paths as a shell reads them: ~ and $HOME in every key that names a file or a folder."""

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

_PACKAGE = Path(__file__).resolve().parents[1]
# Installed, the choices lie inside the package; in a checkout, next to it.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
# Plain keys of the scripts; in some sections the arguments that name files.
PATHS = frozenset(
    [
        *("run", "runs", "init_from", "teacher", "baseline", "ensemble", "merge", "data_root", "cache_dir"),
        *("input", "output", "prefix", "source", "target", "gold", "reverse", "json", "fix", "replay"),
    ]
)
INNER = {
    "data": frozenset(["root", "dataset", "train", "valid", "test", "extra"]),
    "embedding": frozenset(["source_vectors", "target_vectors"]),
    "objective": frozenset(["links"]),
}


def expanded(text: str) -> str:
    """The path with the home folder for a ~ it begins with, and variables of the environment filled in."""
    home = os.path.expanduser(text)  # noqa: PTH111 - a Path would lose a trailing or doubled slash
    return os.path.expandvars(home)


def expand_paths(config: DictConfig) -> None:
    """Expand every path of a composed configuration in place; what is interpolated is left to what it names."""
    for key in config:
        if key in PATHS:
            _expand(config, key)
        elif isinstance(section := _value(config, key), DictConfig):
            for inner in INNER.get(str(key), frozenset()) & section.keys():
                _expand(section, inner)


def _expand(node: DictConfig | ListConfig, key: Any) -> None:
    value = _value(node, key)
    if isinstance(value, str):
        node[key] = ",".join(map(expanded, value.split(","))) if key == "runs" else expanded(value)
    elif isinstance(value, DictConfig | ListConfig):
        for inner in range(len(value)) if isinstance(value, ListConfig) else list(value):
            _expand(value, inner)


def _value(node: DictConfig | ListConfig, key: Any) -> Any:
    """The value of that key; None where it is missing or interpolated."""
    return None if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key) else node[key]


def shorten(path: Path) -> Path:
    """The path as seen from the working directory, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
