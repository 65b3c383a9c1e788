"""Packages of a user's own whose classes a configuration may name: allowed by what the user types, for one command."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from seq2seq.config.problems import Problem

VARIABLE = "SEQ2SEQ_EXTENSIONS"  # names of packages, separated by commas
_OURS = ("seq2seq", "torch")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


# What this command has allowed; the environment variable apart.
_TYPED: ContextVar[tuple[str, ...]] = ContextVar("allowed packages", default=())


@contextmanager
def one_call() -> Iterator[None]:
    """In a program that calls several commands: what is allowed inside the block is not allowed after it."""
    before = _TYPED.set(())
    try:
        yield
    finally:
        _TYPED.reset(before)


def allow(names: object) -> list[str]:
    """Let configurations name classes of these packages, found in the working directory too.

    Returns them and those of the environment variable. Names that cannot be are left out: see `extension_problems`.
    """
    typed = [name for name in _texts(names) if not _problem(name)]
    _TYPED.set(tuple(dict.fromkeys([*_TYPED.get(), *typed])))
    here = str(Path.cwd())
    # Appended last, so that no file of the user's shadows a package that is imported later.
    if allowed() and here not in sys.path:
        sys.path.append(here)
    return list(dict.fromkeys([*typed, *_of_variable()]))


def allowed() -> tuple[str, ...]:
    """The packages allowed by this command or by the environment variable."""
    return tuple(dict.fromkeys([*_TYPED.get(), *_of_variable()]))


def _of_variable() -> list[str]:
    names = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return [name for name in names if _is_own(name)]


def covers(package: str, name: str) -> bool:
    """Whether `name` is that of something in the package."""
    return name.startswith(f"{package}.")


def extension_problems(names: object) -> list[Problem]:
    """What is wrong with the value of the key `extensions`: names that no package has, or can have."""
    return [Problem(f"extensions[{i}]", text) for i, name in enumerate(_texts(names)) if (text := _problem(name))]


def _texts(names: object) -> list[str]:
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _problem(name: str) -> str | None:
    if not _is_own(name):
        return f"expected the name of a Python package of your own, got {name!r}"
    first = name.partition(".")[0]
    there = any((Path.cwd() / place).exists() for place in (first, f"{first}.py"))
    if there or first in sys.modules or importlib.util.find_spec(first) is not None:
        return None
    return f"there is no package {first} in the working directory or in Python's environment"


def _is_own(name: str) -> bool:
    """Whether a package of a user's own may have the name."""
    first = name.partition(".")[0]
    return _DOTTED.fullmatch(name) is not None and first not in (*sys.stdlib_module_names, *_OURS)


def others_line(stored: Mapping[str, Any], packages: tuple[str, ...], *, key: str, run: str) -> str | None:
    """What to say of a run whose own configuration names classes of packages that this command has not allowed.

    A run folder may come from anyone: what it names is imported only where the user says so.
    """
    inside = (*packages, *allowed())
    others = [name for name in _targets(stored) if not any(covers(package, name) for package in inside)]
    named = [package for package in _texts(stored.get("extensions")) if _is_own(package)]
    needed = {
        next((package for package in named if covers(package, name)), name.partition(".")[0])
        for name in others
        if _is_own(name)
    }
    if not needed:
        return None
    names = ",".join(sorted(needed))
    return (
        f"{key}={run}: some of its parts are classes of {names}, which is not part of seq2seq and would be "
        f"executed. If you trust it, type extensions=[{names}] or set {VARIABLE}={names}"
    )


def _targets(node: Any) -> Iterator[str]:
    """Every class that a configuration names."""
    if isinstance(node, dict):
        if isinstance(name := node.get("_target_"), str):
            yield name
        for item in node.values():
            yield from _targets(item)
    elif isinstance(node, list):
        for item in node:
            yield from _targets(item)
