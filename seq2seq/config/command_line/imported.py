"""The words that init_from=hf:FOLDER adds to a training's command line, and the typed ones that contradict it."""

from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq.config.command_line.overrides import read_value, take_apart
from seq2seq.config.imported import architecture_of, word
from seq2seq.config.paths import expanded
from seq2seq.config.problems import Mistakes
from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder


def imported_words(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words to add, and a line for each typed word that says otherwise than the folder. Raises Mistakes where the
    folder cannot be read, or is of a model that we cannot build."""
    given = {found.key: found.value for found in map(take_apart, typed) if found.value is not None}
    folder = ModelFolder.of(given.get("init_from"))
    if folder is None:
        return [], []
    try:
        found = architecture_of(folder, None if given.get("run") is None else expanded(str(given["run"])))
    except ConfigError as error:
        raise Mistakes(str(error).split("\n")) from error
    fixed: Mapping[str, Any] = {**found.choices, **found.values}
    wrong = {key: value for key, value in fixed.items() if key in given and _value(given[key]) != value}
    lines = [
        f"{key}={given[key]}: init_from={folder.name} has {word(key, value)}{found.origin(key)}; leave it out"
        for key, value in wrong.items()
    ]
    usual = {key: value for key, value in found.usual.items() if not (key.startswith("search.") and "search" in given)}
    return [word(key, value) for key, value in {**usual, **fixed}.items() if key not in given], lines


def _value(typed: str | None) -> Any:
    read = read_value(typed or "")
    return typed if read is None else read.data
