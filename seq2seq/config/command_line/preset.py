"""The choice of a preset, and its values below everything that was typed."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.overrides import as_text, as_typed, take_apart
from seq2seq.config.composition import Composition
from seq2seq.config.paths import shorten
from seq2seq.config.presets import PresetFile, TextSize, left_alone, preset_for
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import flatten, read_config, run_path

logger = logging.getLogger(__name__)

SIZES = ("size", "hidden_size", "inner_size", "heads")  # last names of keys whose values must fit together
Values = dict[str, Any]  # by dotted key


def preset_problems(composed: Composition) -> list[str]:
    """The line on a preset beside an experiment, if both are chosen: neither lies under the other."""
    preset, experiment = composed.choices.get("preset", "none"), composed.choices.get("experiment")
    if preset == "none" or experiment is None:
        return []
    return [f"preset={preset}: experiment={experiment} has its own values; leave out one of the two"]


def with_preset(
    composed: Composition,
    library: Library,
    load: Callable[[Composition], TrainSettings],
    size_of: Callable[[TrainSettings], TextSize],
    *,
    announced: bool = True,
) -> Composition:
    """The composition with the values of its preset; with preset=auto of the one for its training text (`size_of`).
    A line says which, if it is `announced`.

    An existing run keeps what it began with, and a new one that reuses the tokenizer of another run has that run's
    preset. Where the preset's sizes cannot go with what was typed they are left out. Raises Mistakes before any text is
    read, CheckpointError where the other run's config.yaml is broken, and what `size_of` raises.
    """
    if composed.choices.get("preset", "none") == "none":
        return composed
    preset, given, why = _chosen(composed, library, load(composed), size_of)
    laid, note = _fitting(composed, _not_typed(given, composed), load)
    chosen = replace(laid, choices={**composed.choices, "preset": preset})
    if announced and preset != "none":
        values = " ".join(map(as_typed, _words(_in_effect(chosen)))) or "nothing to set"
        logger.info("preset=%s%s: %s%s; preset=none turns it off", preset, why, values, note)
    return chosen


def _chosen(
    composed: Composition,
    library: Library,
    settings: TrainSettings,
    size_of: Callable[[TrainSettings], TextSize],
) -> tuple[str, Values, str]:
    """The preset, its values for the chosen parts, and why it is this one."""
    preset = composed.choices["preset"]
    teachers = [settings.teacher] if isinstance(settings.teacher, str) else settings.teacher
    other = settings.init_from or next(iter(teachers), None)  # whose tokenizer a new run reuses
    kept = _of_existing_run(settings.run, composed)
    if kept is not None and preset in ("auto", kept[0]):
        (preset, given), why = kept, " (as this run began)"
        return preset, {key: value for key, value in given.items() if key in _leaves(composed)}, why
    if preset == "auto" and other is not None:
        return *_of_other_run(other, composed, library), f" as run {other}"
    why = ""
    if preset == "auto":
        text = size_of(settings)
        preset, why = preset_for(text), f" for {text.pairs:,} pairs, {text.words:,} words"
    return preset, preset_values(composed, library, preset), why


def preset_words(composed: Composition, library: Library) -> list[str]:
    """The words that a typed preset adds, for printing the configuration, which reads no data; raises Mistakes."""
    preset = composed.choices.get("preset", "none")
    if preset == "auto":
        logger.info("preset=auto chooses when the training starts; to see a preset's values here, type its name")
    return _words(_not_typed(preset_values(composed, library, preset), composed)) if preset != "auto" else []


def preset_values(composed: Composition, library: Library, preset: str) -> Values:
    """The values that a preset's file has for the chosen parts; raises Mistakes where the file is wrong.

    Where a part is a choice of the user's own folder, its file's values count, unless the preset is of that folder too.
    """
    path = library.path("preset", preset)
    if lines := library.mistakes_in_choices({"preset": preset}):
        raise Mistakes(lines)
    file = PresetFile.read(path)
    if lines := list(file.mistakes(library.groups)):
        raise Mistakes(lines)
    own = set() if preset in library.own_choices("preset") else _own_sections(composed, library)
    values = {key: value for key, value in file.values(composed.choices).items() if key.split(".")[0] not in own}
    if any(OmegaConf.select(composed.config, f"embedding.{side}_vectors") for side in ("source", "target")):
        values.pop("embedding.size", None)  # it is the vectors' width
    leaves = _leaves(composed)
    if unknown := [key for key in values if key not in leaves]:
        raise Mistakes([f"{shorten(path)}: {key}: no such key with these choices" for key in unknown])
    return values


def _own_sections(composed: Composition, library: Library) -> set[str]:
    """The sections whose choice is one of the user's own folder."""
    return {group for group, choice in composed.choices.items() if choice in library.own_choices(group)}


def _of_existing_run(run: str, composed: Composition) -> tuple[str, Values] | None:
    """The preset and its values of the run that is continued; None if a new one begins.

    A run that was not named has a name by its settings, which these are not yet, unless it is older than presets.
    """
    path = run_path(run) / "config.yaml"
    if not path.is_file():
        return None
    stored = read_config(path)
    if "run" not in _typed(composed) and "preset" in stored["choices"]:
        return None
    return stored["choices"].get("preset", "none"), stored["preset"]


def _of_other_run(run: str, composed: Composition, library: Library) -> tuple[str, Values]:
    """The preset and its values of another run, whose tokenizer is reused: those of the tokenizer as they are.

    What hinges on a part that is another one here has the value of the preset's file. A run that is missing is reported
    where it is read.
    """
    path = run_path(run) / "config.yaml"
    if not path.is_file():
        return "none", {}
    stored = read_config(path)
    preset, values = stored["choices"].get("preset", "none"), stored["preset"]
    if preset in library.choices("preset"):
        here = preset_values(composed, library, preset)
        there = PresetFile.read(library.path("preset", preset)).values(stored["choices"])
        other = {key for key in {**there, **here} if here.get(key) != there.get(key)}
        other = {key for key in other if not key.startswith("tokenizer.")}
        values = {key: value for key, value in values.items() if key not in other}
        values |= {key: value for key, value in here.items() if key in other}
    leaves = _leaves(composed)
    return preset, {key: value for key, value in values.items() if key in leaves}


def _fitting(
    composed: Composition, values: Values, load: Callable[[Composition], TrainSettings]
) -> tuple[Composition, str]:
    """The composition with as many of the values as can go together with what was typed, and a remark on the rest."""
    sizes = {key for key in values if key.rpartition(".")[2] in SIZES}
    others = {key: value for key, value in values.items() if key not in sizes}
    for chosen, note in ((values, ""), (others, " (its sizes do not go with what was typed)")):
        laid = replace(composed.with_values(_words(chosen)), preset=chosen)
        try:
            load(laid)
            return laid, note
        except Mistakes:
            continue
    return composed, " (its values do not go with what was typed)"


def _in_effect(laid: Composition) -> Values:
    """The preset's values without tokenizer.auto_size where it changes nothing."""
    of_no_effect = [] if OmegaConf.select(laid.config, "tokenizer.vocab_size") == "auto" else ["tokenizer.auto_size"]
    return {key: value for key, value in laid.preset.items() if key not in of_no_effect}


def _not_typed(values: Values, composed: Composition) -> Values:
    typed = _typed(composed)
    return {key: value for key, value in values.items() if not left_alone(key, typed)}


def _typed(composed: Composition) -> Sequence[str]:
    """The keys that were typed, without choices of parts."""
    keys = [take_apart(word).key for word in composed.overrides]
    return [key for key in keys if key not in composed.choices]


def _leaves(composed: Composition) -> set[str]:
    tree: Any = OmegaConf.to_container(composed.config, resolve=False)
    return set(flatten(tree))


def _words(values: Mapping[str, Any]) -> list[str]:
    return [f"{key}={as_text(value) if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
