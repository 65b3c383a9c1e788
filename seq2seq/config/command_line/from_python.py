"""A command that is called from Python: its keys are words, as on the command line, or values of Python."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

from seq2seq.config.command_line.check import check, is_for_hydra
from seq2seq.config.command_line.overrides import is_simple, quoted, take_apart
from seq2seq.config.command_line.own_folder import own_folder
from seq2seq.config.command_line.script import Script
from seq2seq.config.problems import Mistakes, show
from seq2seq.config.resolvers import resolvers_as_before
from seq2seq.config.stored_run import flatten

Keys = Mapping[str, object]
SWEEPS = "need a call each"


def settings_of(
    script: Script,
    given: Sequence[str | Keys],
    keys: Keys,
    config_dir: str | os.PathLike[str] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Any:
    """What the command's function gets: its settings, and of a command that works on a run those of the run, too.

    A key is a word (`"search.beam_size=5"`), or a key of a mapping (`{"search.beam_size": 5}`, or nested: `{"search":
    {"beam_size": 5}}`). `config_dir` is a folder of choices of the user's own, `refused` says of keys of the command
    what to do instead. Nothing of the process is changed. Raises Mistakes with the lines that the command prints, and
    TypeError for what is neither a word nor a mapping.
    """
    groups = script.library.groups
    words = [word for each in (*given, keys) for word in _words(each, groups)]
    if lines := list(_not_from_python(words, refused or {})):
        raise Mistakes(lines)
    own = None if config_dir is None else own_folder(os.fspath(config_dir), script.folder)
    script = replace(script, own=own, sweeps=SWEEPS)
    with resolvers_as_before():
        _, composed = check(script, words)
        return script.read(replace(composed, typed=tuple(words)))


def _words(given: object, groups: Collection[str]) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for key, value in flatten(_as_dicts(given)).items():
            yield f"{key}={value if key in groups and isinstance(value, str) else _typed(key, value)}"
    else:
        raise TypeError(f"expected words such as 'search.beam_size=5', or a mapping, got {show(given)}")


def _as_dicts(given: Mapping[Any, object]) -> dict[str, Any]:
    return {str(key): _as_dicts(value) if isinstance(value, Mapping) else value for key, value in given.items()}


def _typed(key: str, value: object) -> str:
    """The value as it is typed. Raises Mistakes for one that cannot be."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return value if is_simple(value) else quoted(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return quoted(path if "/" in path else f"./{path}")  # a run without a slash is a name
    if isinstance(value, Integral | Real):
        return repr(int(value) if isinstance(value, Integral) else float(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{','.join(_typed(key, item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_typed(key, item)}" for name, item in value.items()) + "}"
    raise Mistakes([f"{key}: expected text, a number, True, False, None, a list or a dict, got {show(value)}"])


def _not_from_python(words: Sequence[str], refused: Mapping[str, str]) -> Iterator[str]:
    """The lines on words that are for the command line only."""
    for word in words:
        name = take_apart(word).key
        if word in ("-m", "--multirun"):
            yield f"{word}: a call from Python starts one run; call it once for each combination"
        elif name in ("--config-dir", "-cd"):
            yield f"{word}: from Python it is an argument: config_dir=DIR"
        elif word.startswith("-"):
            yield f"{word}: the options of the command line are not available from Python"
        elif is_for_hydra(word):
            yield f"{word}: settings of Hydra itself have no effect from Python"
        elif name in refused:
            yield f"{word}: {refused[name]}"
